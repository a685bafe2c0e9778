"""The matches of a run, `runs/<run_name>/matches.jsonl`: a line for each block of games, appended and never changed.

A block is written whole or not at all. Its key is unique within the run, so no block is played or counted twice, even
after a kill at any moment. Written by the arena; read for ratings. Imports neither torch nor numba.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ddpzero.system.guarded_files import (
    is_count,
    is_finite_number,
    parse_json_line,
    printable,
    read_rows,
)
from ddpzero.system.json_text import json_text
from ddpzero.system.whole_files import append_whole, drop_incomplete_line

MATCHES_FILE = "matches.jsonl"
_SCORES = (0.0, 0.5, 1.0)
_MAX_NAME_LENGTH = 255
# A key names two players.
_MAX_KEY_LENGTH = 3 * _MAX_NAME_LENGTH


@dataclass(frozen=True)
class Block:
    """Some games of two players, all from random openings, each of which is played twice with sides swapped.

    key: names the block within its run.
    scores: for each opening, player_a's scores (win 1, draw 0.5, loss 0) as player 0 and as player 1.
    learner_step, samples, minutes: of the run when it saved player_a. mean_plies: length of a game. seconds: of
    playing. time: at its end, Unix time. num_distinct_games: see MatchResult; None in lines of earlier versions.
    """

    key: str
    player_a: str
    player_b: str
    scores: tuple[tuple[float, float], ...]
    learner_step: int
    samples: int
    minutes: float
    mean_plies: float
    seconds: float
    time: float
    num_distinct_games: int | None = None

    @property
    def num_games(self) -> int:
        return 2 * len(self.scores)

    @property
    def pair_scores(self) -> list[float]:
        """player_a's mean score in the two games from each opening."""
        return [(first + second) / 2 for first, second in self.scores]


class MatchLog:
    """The file of one run. Appending requires that no other process does; reading is always possible.

    keys: of all blocks in the file.
    """

    def __init__(self, run_dir: Path) -> None:
        self._path = run_dir / MATCHES_FILE
        drop_incomplete_line(self._path)
        self.blocks = read_blocks(run_dir)
        self.keys = {block.key for block in self.blocks}

    def append(self, block: Block) -> None:
        """Append a block, unless one with its key is there. Raises OSError if it cannot be written."""
        if block.key in self.keys:
            return
        append_whole(self._path, f"{json_text(asdict(block))}\n".encode())
        self.keys.add(block.key)
        self.blocks.append(block)


def num_repeated_games(blocks: Iterable[Block]) -> int:
    """Return how many games repeat another one of their block: too few, because blocks are not compared."""
    known = ((block.num_games, block.num_distinct_games) for block in blocks)
    return sum(games - distinct for games, distinct in known if distinct is not None)


def read_blocks(run_dir: Path) -> list[Block]:
    """Return the blocks in a run's file in their order, each key once; warns of damaged lines."""
    return read_rows(run_dir / MATCHES_FILE, _block, lambda block: block.key)


def _block(line: bytes) -> Block | None:
    """Return the block of a line; None if the line is incomplete or damaged."""
    row = parse_json_line(line)
    if row is None or not line.endswith(b"\n"):
        return None
    names: list[Any] = [row.get(name) for name in ("key", "player_a", "player_b")]
    numbers: list[Any] = [row.get(name) for name in ("minutes", "mean_plies", "seconds", "time")]
    num_distinct_games: Any = row.get("num_distinct_games")
    if not (
        _is_name(names[0], _MAX_KEY_LENGTH)
        and all(_is_name(name) for name in names[1:])
        and names[1] != names[2]
        and is_count(row.get("learner_step"))
        and is_count(row.get("samples"))
        and all(is_finite_number(number) and number >= 0 for number in numbers)
        and _are_scores(row.get("scores"))
        and (num_distinct_games is None or is_count(num_distinct_games))
    ):
        return None
    key, player_a, player_b = (printable(str(name)) for name in names)
    scores = tuple((float(first), float(second)) for first, second in row["scores"])
    counts = row["learner_step"], row["samples"]
    minutes, mean_plies, seconds, end = map(float, numbers)
    return Block(
        key,
        player_a,
        player_b,
        scores,
        *counts,
        minutes,
        mean_plies,
        seconds,
        end,
        num_distinct_games,
    )


def _is_name(value: Any, max_length: int = _MAX_NAME_LENGTH) -> bool:
    return isinstance(value, str) and 0 < len(value) <= max_length


def _are_scores(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) > 0
        and all(
            isinstance(pair, list) and len(pair) == 2 and all(score in _SCORES for score in pair)
            for pair in value
        )
    )
