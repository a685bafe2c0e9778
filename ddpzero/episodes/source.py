"""Reads the finished episodes of a run, or of any folder of shards, with what their plugin knows of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ddpzero.algorithms.base import CompleteAlgorithm, EpisodeFacts
from ddpzero.algorithms.loader import load_algorithm
from ddpzero.config.conversion import settings_from_dict, with_defaults
from ddpzero.replay.buffer import HELD_OUT
from ddpzero.run.finder import find_run, is_run, why_unknown
from ddpzero.run.shard import EPISODES_FOLDER, Shard, read_shard, shards_below
from ddpzero.system.errors import UserError, require
from ddpzero.system.guarded_files import printable
from ddpzero.system.json_text import json_text


@dataclass(frozen=True)
class StoredGame:
    """A finished episode. number: from 1, in the order of the files. facts: None if its plugin tells none.

    model: without control codes. columns: of its samples; only HELD_OUT if nothing else was read. path: of its shard.
    """

    number: int
    path: Path
    model: str
    info: Mapping[str, Any]
    facts: EpisodeFacts | None
    columns: Mapping[str, np.ndarray]
    algorithm: CompleteAlgorithm

    @property
    def num_samples(self) -> int:
        return len(self.columns[HELD_OUT])


def find_shards(text: str) -> list[Path]:
    """Return the shards of a run, or in a folder. Raises UserError if there are none."""
    folder = find_run(text)
    require(folder is not None, f"{text!r} is neither a run nor a folder: {why_unknown(text)}")
    assert folder is not None
    paths = shards_below(folder)
    why = (
        f"a run writes them to {EPISODES_FOLDER}/ with every checkpoint."
        if is_run(folder)
        else "name a run, or a folder with files of games (.npz), as a server writes them to training_data/ soon after "
        "they were sent."
    )
    require(bool(paths), f"{folder} has no stored games: {why}")
    return paths


class EpisodeReader:
    """Reads shards; loads each algorithm that they name once."""

    def __init__(self) -> None:
        self._algorithms: dict[str, CompleteAlgorithm] = {}

    def games(self, paths: list[Path], with_samples: bool = False) -> Iterator[StoredGame]:
        """Yield the episodes of shards in their order. Raises UserError for an unreadable one."""
        number = 0
        for path in paths:
            shard = read_shard(path, with_samples)
            for game in self.of_shard(path, shard):
                number += 1
                yield replace(game, number=number)

    def of_shard(self, path: Path, shard: Shard) -> Iterator[StoredGame]:
        """Yield the episodes of a shard, numbered from 1. Raises UserError if their facts are damaged."""
        algorithm = self.algorithm(path, shard)
        for number, episode in enumerate(shard.episodes, start=1):
            try:
                facts = algorithm.facts_of_episode(episode.info)
            except (ValueError, TypeError, KeyError) as error:
                raise UserError(f"{path}: episode {number} has damaged facts: {error}.") from None
            columns = {name: column[episode.rows] for name, column in shard.columns.items()}
            model = printable(episode.model)
            yield StoredGame(number, path, model, episode.info, facts, columns, algorithm)

    def algorithm(self, path: Path, shard: Shard) -> CompleteAlgorithm:
        """Return the algorithm that played a shard. Raises UserError if its config cannot be used."""
        config = shard.description.get("config")
        key = json_text(config)
        if key not in self._algorithms:
            require(isinstance(config, dict), f"{path} does not say which config played it.")
            assert isinstance(config, dict)
            _require_own_code(path, config)
            try:
                settings = settings_from_dict(with_defaults(config))
                self._algorithms[key] = load_algorithm(settings)
            except (ValueError, TypeError, KeyError) as error:
                raise UserError(f"The config of {path} cannot be used here: {error}") from None
        return self._algorithms[key]


def _require_own_code(path: Path, config: Mapping[str, Any]) -> None:
    """Raise UserError if a config names code by a path that this program never writes: one that moves with the file.

    A folder of games from elsewhere must not bring the code along that reads it.
    """
    for name in ("game", "algorithm"):
        group = config.get(name)
        source = group.get("source") if isinstance(group, Mapping) else None
        require(
            source is None or (isinstance(source, str) and Path(source).is_absolute()),
            f"{path} was played with {name}.source={printable(str(source)[:80])}, which is no absolute path: its code "
            "is not loaded.",
        )
