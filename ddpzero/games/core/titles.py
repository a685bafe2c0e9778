"""What people call a game: "Go 9x9", and its parameters in words. Called by the page and by reviews."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ddpzero.games.core.game import Game
from ddpzero.games.core.team_game import TeamGame


def title_of(game: Game | TeamGame) -> str:
    """Return "Connect Four", or "Go 9x9" for a board game that has a size in its parameters."""
    name = game.name.replace("_", " ").title().replace(" And ", " and ")
    size = _size_of(game)
    return name if size is None else f"{name} {size}x{size}"


def full_title_of(game: Game | TeamGame) -> str:
    """Return "Connect Four, rows 6, columns 7, line 4": its title and all parameters that this does not name."""
    hidden = () if _size_of(game) is None else ("size",)
    parameters = asdict(game.parameters).items()
    said = [said_of_parameter(name, value) for name, value in parameters if name not in hidden]
    return ", ".join([title_of(game), *said])


def said_of_parameter(name: str, value: Any) -> str:
    """Return "komi 6.5", "suicide" or "no suicide"."""
    words = name.replace("_", " ")
    if isinstance(value, bool):
        return words if value else f"no {words}"
    return f"{words} {value:g}" if isinstance(value, float) else f"{words} {value}"


def _size_of(game: Game | TeamGame) -> int | None:
    size = getattr(game.parameters, "size", None)
    return size if isinstance(game, Game) and isinstance(size, int) else None
