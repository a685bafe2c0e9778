"""One file of finished episodes, `episodes/rank<r>/<number>.npz`: compressed arrays, written whole or not at all.

sample.<name>         [n, *shape]  a column of the plugin's sample spec, episode after episode
sample.is_held_out    [n]          bool, never trained on (holdout.py)
episode.num_samples   [e]          int64; together n, or no episodes at all: samples whose episodes are unknown
episode.model         [e]          int64, index into the description's models: the newest one when it ended
episode.num_moves     [e]          int64
episode.moves         [m]          int32, the moves of all episodes, one after the other
episode.info          [b]          uint8, the other facts of each episode, a line of JSON each
description           [b]          uint8, JSON: format, run, config, rank, models, ...
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ddpzero.replay.buffer import HELD_OUT
from ddpzero.replay.origin import MAX_ROWS, ShardKey
from ddpzero.system.guarded_files import (
    MAX_DOCUMENT_BYTES,
    UnreadableFileError,
    printable,
    read_npz,
)
from ddpzero.system.json_text import json_text

EPISODES_FOLDER = "episodes"
FORMAT = 1
_Text = TypeVar("_Text", str, bytes)
_PARTIAL_PREFIX = ".partial-"
_MOVES = "moves"
_FACTS = {
    *(f"episode.{name}" for name in ("num_samples", "model", "num_moves", "moves", "info")),
    f"sample.{HELD_OUT}",
    "description",
}
# Twice as small files would take ten times as long.
_COMPRESSION_LEVEL = 1


@dataclass(frozen=True)
class StoredEpisode:
    """One finished episode in a shard. info: as the plugin made it. model: the newest one when it ended, "" for none.

    rows: of its samples in the shard.
    """

    info: dict[str, Any]
    model: str
    rows: slice


@dataclass(frozen=True)
class Shard:
    """The content of a shard. columns: `[n, *shape]` by name; HELD_OUT among them. description: see above."""

    columns: dict[str, np.ndarray]
    episodes: Sequence[StoredEpisode]
    description: Mapping[str, Any]

    @property
    def num_samples(self) -> int:
        return len(self.columns[HELD_OUT])


def shard_path(folder: Path, key: ShardKey) -> Path:
    """Return the file of a shard. folder: of all episodes of the run."""
    return folder / f"rank{key.rank}" / f"{key.number:08d}.npz"


def list_shards(folder: Path, rank: int | None = None) -> list[ShardKey]:
    """Return the shards in a run's folder of episodes, of one rank or of all, in their order."""
    keys = []
    for path in folder.glob(f"rank{'*' if rank is None else rank}/*.npz"):
        of_rank, number = path.parent.name.removeprefix("rank"), path.stem
        if (
            of_rank.isdecimal()
            and number.isdecimal()
            and shard_path(folder, key := ShardKey(int(of_rank), int(number))) == path
        ):
            keys.append(key)
    return sorted(keys)


def shards_below(folder: Path) -> list[Path]:
    """Return the files of a run's episodes, or all shards in any folder, in their order."""
    episodes = folder / EPISODES_FOLDER
    paths = [shard_path(episodes, key) for key in list_shards(episodes)]
    return paths or sorted(path for path in folder.glob("**/*.npz") if path.name[0] != ".")


def write_shard(path: Path, shard: Shard) -> int:
    """Write a shard and return its size in bytes. Raises OSError, and leaves then no file."""
    episodes = shard.episodes
    models = list(dict.fromkeys(episode.model for episode in episodes))
    moves = [episode.info.get(_MOVES) or [] for episode in episodes]
    infos = [{k: v for k, v in episode.info.items() if k != _MOVES} for episode in episodes]
    arrays = {
        **{f"sample.{name}": column for name, column in shard.columns.items()},
        "episode.num_samples": _integers(e.rows.stop - e.rows.start for e in episodes),
        "episode.model": _integers(models.index(e.model) for e in episodes),
        "episode.num_moves": _integers(map(len, moves)),
        "episode.moves": np.array([move for of_one in moves for move in of_one], np.int32),
        "episode.info": _text("\n".join(json_text(info) for info in infos)),
        "description": _text(json_text({**shard.description, "format": FORMAT, "models": models})),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{_PARTIAL_PREFIX}{path.name}")
    try:
        with open(partial, "wb") as file:
            with zipfile.ZipFile(
                file, "w", zipfile.ZIP_DEFLATED, compresslevel=_COMPRESSION_LEVEL
            ) as archive:
                for name, array in arrays.items():
                    with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                        np.lib.format.write_array(member, np.asarray(array), allow_pickle=False)
            file.flush()
            os.fsync(file.fileno())
            size_bytes = file.tell()
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    return size_bytes


def read_shard(path: Path, with_samples: bool = True) -> Shard:
    """Read a shard. Raises UnreadableFileError if it is missing, damaged, or no shard.

    with_samples: False leaves all columns but HELD_OUT on the disk.

    Whether the columns fit a sample spec, and the episodes the rules of a game, is for the caller to check.
    """
    arrays = read_npz(path, lambda name: with_samples or name in _FACTS)
    try:
        return _shard(arrays)
    except RecursionError:
        raise UnreadableFileError(f"{path} cannot be read: it is nested too deeply.") from None
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        reason = printable(str(error)[:200])
        raise UnreadableFileError(
            f"{path} cannot be read: it is not a shard of episodes ({reason})."
        ) from None


def _shard(arrays: dict[str, np.ndarray]) -> Shard:
    description = json.loads(_parsable(arrays.pop("description").tobytes()))
    if description["format"] != FORMAT:
        raise ValueError(f"its format is {description['format']}, not {FORMAT}")
    columns = {
        name.removeprefix("sample."): array
        for name, array in arrays.items()
        if name.startswith("sample.")
    }
    sizes = {len(column) for column in columns.values()}
    if len(sizes) != 1 or not 0 < min(sizes) <= MAX_ROWS:
        raise ValueError("its columns have different lengths")
    if columns[HELD_OUT].dtype != np.bool_ or columns[HELD_OUT].ndim != 1:
        raise ValueError(f"{HELD_OUT} is no list of truth values")
    all_moves = arrays["episode.moves"].astype(np.int32, casting="same_kind")
    num_samples = _ends(arrays["episode.num_samples"], min(sizes))
    num_moves = _ends(arrays["episode.num_moves"], len(all_moves))
    model_numbers = arrays["episode.model"]
    text = arrays["episode.info"].tobytes().decode()
    lines = text.split("\n") if len(num_samples) else []
    models = description["models"]
    counts = {len(num_samples), len(num_moves), len(model_numbers), len(lines)}
    if len(counts) != 1 or not all(isinstance(model, str) for model in models):
        raise ValueError("its episodes have different numbers of facts")
    if len(lines) and (num_samples[-1] != min(sizes) or num_moves[-1] != len(all_moves)):
        raise ValueError("its episodes do not have all samples and moves")
    episodes = []
    first_row = first_move = 0
    for line, row, move, model in zip(lines, num_samples, num_moves, model_numbers, strict=True):
        info = json.loads(_parsable(line))
        if not isinstance(info, dict) or _MOVES in info or not 0 <= model < len(models):
            raise ValueError("the facts of an episode are damaged")
        if move > first_move:
            info[_MOVES] = all_moves[first_move:move].tolist()
        episodes.append(StoredEpisode(info, models[model], slice(first_row, int(row))))
        first_row, first_move = int(row), int(move)
    return Shard(columns, episodes, description)


def _parsable(text: _Text) -> _Text:
    """Return text of a length that may be parsed: lists take 28 times their bytes."""
    if len(text) > MAX_DOCUMENT_BYTES:
        raise ValueError("a text in it is too long")
    return text


def _ends(counts: np.ndarray, most: int) -> np.ndarray:
    """Return the sums of the first counts. most: that a count may be; so no sum exceeds 64 bits."""
    if counts.ndim != 1 or counts.dtype.kind not in "iu":
        raise ValueError("a number of samples or moves is no count")
    if len(counts) and not 0 <= counts.min() <= counts.max() <= most:
        raise ValueError("a number of samples or moves is impossible")
    return np.cumsum(counts, dtype=np.int64)


def _integers(values: Any) -> np.ndarray:
    return np.fromiter(values, np.int64)


def _text(text: str) -> np.ndarray:
    return np.frombuffer(text.encode(), np.uint8)
