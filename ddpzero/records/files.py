"""Reads and writes files of one game: SGF, or lists of moves."""

from __future__ import annotations

from pathlib import Path

from ddpzero.games import Game
from ddpzero.records.move_list import moves_of_record, record_of_moves
from ddpzero.records.record import GameRecord
from ddpzero.records.sgf import record_of_sgf, sgf_of_record
from ddpzero.records.sgf_text import decoded
from ddpzero.system.errors import UserError, require
from ddpzero.system.guarded_files import UnreadableFileError, read_bytes
from ddpzero.system.whole_files import replace_whole, require_writable

# A thousand games with comments, in one file.
MAX_FILE_BYTES = 32 << 20


def read_record(file: Path | str, game: Game | None = None, number: int = 1) -> GameRecord:
    """Return a game of a file. Raises UserError, one sentence with the file and the place, for whatever it contains.

    game: what the file does not say is as in it; needed for a list of moves that names no game. number: of the game,
    of several in the file. The record's game may differ from `game` in its board and rules: the file decides.
    """
    text = decoded(read_bytes(Path(file), MAX_FILE_BYTES))
    read = record_of_sgf if _is_sgf(Path(file), text) else record_of_moves
    try:
        return read(text, game, number)
    except UserError as error:
        raise UnreadableFileError(f"{file}, {error}") from None


def file_endings(game: Game) -> tuple[str, ...]:
    """Return how the names of a game's files may end, first the one to choose: .sgf if it has that format, and .txt."""
    return (".sgf", ".txt") if game.sgf_header else (".txt",)


def write_record(record: GameRecord, file: Path | str) -> None:
    """Write a game to a file that ends in .sgf or .txt. Raises UserError for another file, or if writing fails."""
    path = Path(file)
    require(
        path.suffix in (".sgf", ".txt") and not path.is_dir(),
        f"{file} must be the name of a file that ends in {' or '.join(file_endings(record.game))} (a list of moves).",
    )
    text = sgf_of_record(record) if path.suffix == ".sgf" else moves_of_record(record)
    require_writable(str(file), path.parent)
    replace_whole(path, text.encode("utf-8", "replace"))


def _is_sgf(path: Path, text: str) -> bool:
    return path.suffix.lower() == ".sgf" or text.lstrip()[:1] == "("
