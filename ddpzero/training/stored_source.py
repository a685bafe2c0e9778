"""Samples of games that are already on disk: of other runs, or of any folder of shards (run/shard.py).

They are read once, when the training starts, and stay in memory; a checkpoint does not contain them.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ddpzero.replay import Episode, SampleSpec, check_columns, is_held_out
from ddpzero.replay.buffer import HELD_OUT
from ddpzero.replay.sample import adapted_columns, check_values
from ddpzero.run.finder import find_run, why_unknown
from ddpzero.run.shard import Shard, read_shard, shards_below
from ddpzero.settings import GameSettings
from ddpzero.system.errors import require
from ddpzero.system.guarded_files import UnreadableFileError

logger = logging.getLogger(__name__)

# In the column weights_version of stored samples: they say nothing about the weights of this run.
NO_VERSION = -1


class StoredSamples:
    """One rank's share of the newest samples of some stored games, in memory.

    num_samples: of this rank. num_trainable: those that are not held out.
    """

    def __init__(self, columns: dict[str, np.ndarray], held_out: np.ndarray) -> None:
        self._columns = columns
        self._rows = {False: np.flatnonzero(~held_out), True: np.flatnonzero(held_out)}
        self.num_samples = len(held_out)
        self.num_trainable = len(self._rows[False])

    def sample(self, num_rows: int, seed: int, is_held_out: bool = False) -> dict[str, np.ndarray]:
        """Return rows `[num_rows, *shape]`, drawn uniformly; they depend on the seed alone."""
        rows = self._rows[is_held_out]
        taken = rows[np.random.Generator(np.random.PCG64(seed)).integers(len(rows), size=num_rows)]
        return {name: column.take(taken, axis=0) for name, column in self._columns.items()}

    @property
    def has_held_out(self) -> bool:
        return len(self._rows[True]) > 0


def find_sources(sources: Sequence[str], runs_dir: Path) -> list[Path]:
    """Return the shards of all sources. Raises UserError for a source without stored games."""
    paths: list[Path] = []
    for source in sources:
        key = f"data.sources={source}"
        folder = find_run(source, runs_dir, "data.sources=")
        require(folder is not None, f"{key} is neither a run nor a folder: {why_unknown(source)}")
        assert folder is not None
        found = shards_below(folder)
        require(bool(found), f"{key}: {folder} has no stored games.")
        paths += found
    return paths


def load_stored(
    paths: Sequence[Path],
    spec: SampleSpec,
    game: GameSettings,
    *,
    max_samples: int,
    holdout_fraction: float,
    rank: int,
    world_size: int,
) -> StoredSamples:
    """Load every world_size-th shard, the newest ones, up to max_samples; warn of unusable shards.

    game: of this training: games of another one, or on another board, are refused. holdout_fraction: see is_held_out.
    Raises UserError if no sample can be used.
    """
    columns: list[dict[str, np.ndarray]] = []
    flags: list[np.ndarray] = []
    problems: list[str] = []
    num_samples = 0
    newest_first = sorted(paths, key=lambda path: (-path.stat().st_mtime_ns, str(path)))
    for path in newest_first[rank::world_size]:
        if num_samples >= max_samples:
            break
        try:
            shard = read_shard(path)
            adapted = usable_columns(path, shard, spec, game)
        except UnreadableFileError as error:
            problems.append(str(error))
            continue
        num_samples += shard.num_samples
        columns.append(adapted)
        flags.append(_held_out(shard, adapted, holdout_fraction))
    if problems:
        more = f" ({len(problems) - 1} more files are unusable, too)" if len(problems) > 1 else ""
        logger.warning("stored games are left out: %s%s", problems[0], more)
    require(
        num_samples > 0,
        "data.sources: there is no usable file of stored games for rank "
        f"{rank}{': ' + problems[0] if problems else ', of ' + str(len(paths)) + ' files in all'}",
    )
    whole = {name: np.concatenate([each[name] for each in columns])[:max_samples] for name in spec}
    whole["weights_version"] = np.full_like(whole["weights_version"], NO_VERSION)
    return StoredSamples(whole, np.concatenate(flags)[:max_samples])


def usable_columns(
    path: Path, shard: Shard, spec: SampleSpec, game: GameSettings
) -> dict[str, np.ndarray]:
    """Return the columns of a shard as the spec has them. Raises UnreadableFileError if that is not possible."""
    config = shard.description.get("config")
    played = config.get("game") if isinstance(config, dict) else None
    if not (isinstance(played, dict) and _is_same_game(played, game)):
        raise UnreadableFileError(f"{path} has games of another game or on another board.")
    columns = {name: column for name, column in shard.columns.items() if name != HELD_OUT}
    adapted, _ = adapted_columns(spec, columns)
    try:
        check_columns(spec, adapted)
        check_values(spec, adapted)
    except ValueError as error:
        raise UnreadableFileError(f"{path} does not fit this training: {error}") from None
    return adapted


def _is_same_game(played: Mapping[str, Any], game: GameSettings) -> bool:
    """Return whether the game of a config, as a mapping, is this one. Parameters that only one of them has are of
    another version and are not compared; nor is the length at which games are cut short.
    """
    return played.get("name") == game.name and all(
        played[name] == value
        for name, value in game.parameters.items()
        if name in played and name != "max_plies"
    )


def _held_out(shard: Shard, columns: dict[str, np.ndarray], fraction: float) -> np.ndarray:
    """Return which samples `[n]` are held out, by whole games: those that their own run held out, and more."""
    held_out = shard.columns[HELD_OUT].copy()
    for episode in shard.episodes:
        of_episode = {name: column[episode.rows] for name, column in columns.items()}
        if len(held_out[episode.rows]) and is_held_out(Episode(of_episode), fraction):
            held_out[episode.rows] = True
    return held_out if fraction > 0 else np.zeros_like(held_out)
