"""The answer to ABOUT. Light to import: managers wait for it, and much less gladly than for START."""

from __future__ import annotations

from ddpzero import __version__


def about(name: str) -> str:
    """Return what a program says of itself. name: of the agent."""
    return f'name="ddpzero {name}", version="{__version__}", author="the ddpzero authors"'
