"""Finds the solved positions and recorded games that come with the package: `ddpzero judge --list`.

positions/ holds positions with the value of every action under perfect play; recorded/ holds random games that other
programs played by their own rules. The README.md of each folder names the sources.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from ddpzero.games import Game
from ddpzero.system.errors import UserError

POSITIONS_FOLDER = Path(__file__).parent / "positions"
RECORDED_FOLDER = Path(__file__).parent / "recorded"

# The settings with which each file was recorded.
RECORDED_SETTINGS: dict[str, tuple[str, ...]] = {
    "connect_four": ("game=connect_four",),
    "dots_and_boxes_3x3": ("game=dots_and_boxes", "game.rows=3", "game.columns=3"),
    "go5": ("game=go", "game.size=5", "game.komi=0.5"),
    "gomoku15": ("game=gomoku",),
    "hex5": ("game=hex", "game.size=5"),
    "othello": ("game=othello",),
    "snakes3v3_ends": ("game=snakes",),
    "tic_tac_toe": ("game=tic_tac_toe",),
}


def find_positions(text: str) -> Path:
    """Return the file of solved positions that `text` names: a path or a name in the package. Raises UserError."""
    return _find(text, _files(POSITIONS_FOLDER), "solved positions", "ddpzero judge --list")


def position_files() -> list[Path]:
    """Return all files of solved positions."""
    return _files(POSITIONS_FOLDER)


def packaged_positions_of(game: Game) -> list[Path]:
    """Return the files of solved positions that are of this game and board."""
    from ddpzero.judges.solved_positions import game_and_count, read_solved_positions

    fitting = []
    for file in _files(POSITIONS_FOLDER):
        if game_and_count(file)[0] != game.name:
            continue
        with suppress(UserError):
            read_solved_positions(file, game)
            fitting.append(file)
    return fitting


def find_recorded_games(text: str, of_snakes: bool = False) -> tuple[Path, tuple[str, ...]]:
    """Return the file of recorded games that `text` names, and its game's settings; () for a file of the user."""
    command, other_command = ("snakes", "rules") if of_snakes else ("rules", "snakes")
    known = _recorded(of_snakes)
    name = text.removesuffix(".npz")
    if name in names(f"verify {other_command}") and not _is_there(Path(text)):
        raise UserError(
            f"the recorded games {name} are for another command: ddpzero verify {other_command} {name}."
        )
    file = _find(text, known, "recorded games", f"ddpzero verify {command} --list")
    return file, RECORDED_SETTINGS[file.stem] if file in known else ()


def names(command: str) -> list[str]:
    """Return the names that the command "judge", "verify rules" or "verify snakes" accepts as its FILE."""
    if command == "judge":
        return [file.stem for file in _files(POSITIONS_FOLDER)]
    return [file.stem for file in _recorded(of_snakes=command == "verify snakes")]


def positions_lines() -> Iterator[str]:
    """Yield a line for each file of solved positions: its name, its game, the number of positions."""
    from ddpzero.judges.solved_positions import game_and_count

    for file in _files(POSITIONS_FOLDER):
        game_name, count = game_and_count(file)
        yield f"{file.stem:<22}{game_name:<16}{count:>5} positions"


def recorded_lines() -> Iterator[str]:
    """Yield a line for each file of recorded board games: its name, the number of games, the game's settings."""
    for file in _recorded(of_snakes=False):
        with np.load(file, allow_pickle=False) as archive:
            yield f"{file.stem:<22}{len(archive['lengths']):>5} games   {_settings(file)}"


def snakes_lines() -> Iterator[str]:
    """Yield the same for recorded games of snakes."""
    for file in _recorded(of_snakes=True):
        with np.load(file, allow_pickle=False) as archive:
            yield f"{file.stem:<22}{len(archive['n_steps']):>5} games   {_settings(file)}"


def _find(text: str, known: Sequence[Path], what: str, list_command: str) -> Path:
    file = Path(text)
    named = [path for path in known if path.stem == text.removesuffix(".npz")]
    if named and not file.is_file():
        return named[0]
    if "/" in text or _is_there(file):
        return file
    names = ", ".join(path.stem for path in known)
    raise UserError(
        f"{text[:200]!r} is not a file, and no {what} have this name: give the path of an .npz file, or one of {names} "
        f"({list_command})."
    )


def _is_there(file: Path) -> bool:
    try:
        return file.exists()
    # The name is not one that a file can have.
    except (OSError, ValueError):
        return False


def _recorded(of_snakes: bool) -> list[Path]:
    return [
        file
        for file in _files(RECORDED_FOLDER)
        if ("game=snakes" in RECORDED_SETTINGS[file.stem]) == of_snakes
    ]


def _settings(file: Path) -> str:
    return " ".join(RECORDED_SETTINGS[file.stem])


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.npz"))
