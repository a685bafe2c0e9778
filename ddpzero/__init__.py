"""ddpzero trains game-playing agents from self-play, with one learner rank per GPU.

From Python (ddpzero/api/README.md explains it):

    import ddpzero
    agent = ddpzero.load("runs/quick")        # a run, a checkpoint, runs/quick@best
    position = agent.position("d4 d4")        # after these moves; a notebook draws it
    agent.search(position, simulations=400)   # visits, values and lines of its moves

Importing this module loads nothing else: its names are imported when they are used.
"""

from pathlib import Path
from typing import Any

__version__ = "0.1.0"

PACKAGE_DIR = Path(__file__).resolve().parent

# The public names, and the modules that they come from; __init__.pyi tells type checkers the same.
_MODULES = {
    "Agent": "ddpzero.api.agent",
    "Position": "ddpzero.api.position",
    "UserError": "ddpzero.system.errors",
    "load": "ddpzero.api.agent",
    "load_episodes": "ddpzero.api.episodes",
    "load_game": "ddpzero.api.games",
    "match": "ddpzero.api.matches",
    "play_game": "ddpzero.api.matches",
    "train": "ddpzero.api.training",
}

__all__ = [
    "Agent",
    "Position",
    "UserError",
    "__version__",
    "load",
    "load_episodes",
    "load_game",
    "match",
    "play_game",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
