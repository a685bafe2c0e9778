"""The games that a run has played: one after the other, and their samples as arrays or as a torch Dataset."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ddpzero.algorithms.base import CompleteAlgorithm
from ddpzero.api.numbers import whole_number
from ddpzero.api.position import Position
from ddpzero.episodes.source import EpisodeReader, StoredGame, find_shards
from ddpzero.games import Game
from ddpzero.replay import SampleSpec, check_columns
from ddpzero.replay.buffer import HELD_OUT
from ddpzero.replay.sample import adapted_columns
from ddpzero.run.shard import read_shard
from ddpzero.system.errors import UserError, require

if TYPE_CHECKING:
    from ddpzero.api.dataset import SampleDataset


def load_episodes(run: str | Path) -> Episodes:
    """Return the stored games of a run, or of any folder with such files (.npz).

        for episode in ddpzero.load_episodes("runs/quick"):
            print(episode.moves, episode.returns)
        ddpzero.load_episodes("runs/quick").samples(max_samples=10_000)["policy_target"]

    Raises UserError if there are none.
    """
    return Episodes(str(run), find_shards(str(run)))


class Episodes:
    """The stored games of a run, oldest first for each rank. Nothing is read before it is asked for.

    Iterating yields an Episode for each. `samples` and `dataset` have the rows that the run trained on.
    """

    def __init__(self, source: str, paths: list[Path]) -> None:
        """Called by load_episodes. paths: of the files, in their order."""
        self._source = source
        self._paths = paths
        self._reader = EpisodeReader()

    def __iter__(self) -> Iterator[Episode]:
        number = 0
        for path in self._paths:
            shard, row = _ShardSamples(path), 0
            for stored in self._reader.games([path]):
                number += 1
                rows = slice(row, row + stored.num_samples)
                row = rows.stop
                yield Episode(number, stored, shard, rows)

    @cached_property
    def _algorithm(self) -> CompleteAlgorithm:
        """The one of the newest file."""
        path = self._newest_first()[0]
        return self._reader.algorithm(path, read_shard(path, with_samples=False))

    @property
    def spec(self) -> SampleSpec:
        """The fields of a sample by name, each with shape, dtype and a description: what `samples` returns."""
        return self._algorithm.sample_spec()

    def samples(self, max_samples: int | None = None) -> dict[str, np.ndarray]:
        """Return the samples as arrays `[n, *shape]` by the names of `spec`, the oldest first.

        max_samples: the newest so many; None for all. They take memory: a sample of Connect Four 60 bytes.
        Observations stay packed, see `planes`. Raises UserError if files do not fit each other.
        """
        if max_samples is not None:
            max_samples = whole_number("max_samples", max_samples, least=1)
        spec, parts, num_samples = self.spec, [], 0
        for path in self._newest_first():
            if max_samples is not None and num_samples >= max_samples:
                break
            columns = _columns(path, spec)
            parts.append(columns)
            num_samples += len(columns["weights_version"])
        first = 0 if max_samples is None else max(0, num_samples - max_samples)
        return {
            name: np.concatenate([part[name] for part in reversed(parts)])[first:] for name in spec
        }

    def planes(self, observations: np.ndarray) -> np.ndarray:
        """Return packed observations `[n, bytes]` of `samples` as a network sees them: `[n, C, H, W]` float32.

        Planes of zeros and ones from the view of the player to move, then numbers that concern the whole board as
        planes that are the same everywhere. Raises UserError for an algorithm without packed observations.
        """
        import torch

        from ddpzero.networks import unpack_observations

        game = self._algorithm.game
        field = self.spec.get("observation")
        is_packed = isinstance(game, Game) and field is not None
        require(is_packed, f"samples of {self._source} have no packed observations.")
        assert isinstance(game, Game) and field is not None
        require(
            observations.shape[1:] == field.shape and observations.dtype == field.dtype,
            f"observations are {field.dtype}[n, {field.shape[0]}], not "
            f"{observations.dtype}{list(observations.shape)}.",
        )
        packed = torch.from_numpy(np.ascontiguousarray(observations))
        return unpack_observations(packed, game).numpy()

    def dataset(self, max_samples: int | None = None) -> SampleDataset:
        """Return the samples as a torch Dataset for a DataLoader: each a dict of tensors by the names of `spec`.

        Packed observations come as planes: see `planes`. max_samples: see `samples`.
        """
        from ddpzero.api.dataset import SampleDataset

        is_packed = isinstance(self._algorithm.game, Game) and "observation" in self.spec
        return SampleDataset(self.samples(max_samples), self.planes if is_packed else None)

    def _newest_first(self) -> list[Path]:
        return sorted(self._paths, key=lambda path: (-path.stat().st_mtime_ns, str(path)))

    def __repr__(self) -> str:
        files = "1 file" if len(self._paths) == 1 else f"{len(self._paths)} files"
        return f"<Episodes of {self._source}: {files}>"


class Episode:
    """A game that was played to its end.

    number: from 1 on. model: the newest one of the run when the game ended.
    """

    def __init__(self, number: int, stored: StoredGame, shard: _ShardSamples, rows: slice) -> None:
        """Called by Episodes. rows: of its samples in the file."""
        self.number = number
        self.model = stored.model
        self._stored = stored
        self._shard = shard
        self._rows = rows

    @property
    def length(self) -> int:
        """In moves of either player, or in steps of all agents of a team game; 0 if its algorithm does not tell."""
        facts = self._stored.facts
        return 0 if facts is None else facts.length

    @property
    def returns(self) -> tuple[float, ...]:
        """The result of each player, or of each team, in [-1, 1]; empty if its algorithm does not tell."""
        facts = self._stored.facts
        return () if facts is None else facts.returns

    @property
    def moves(self) -> tuple[str, ...]:
        """The names of all moves from the start of the game. Raises UserError if they are not recorded."""
        game, actions = self._record
        return tuple(map(game.action_name, actions))

    @property
    def final_position(self) -> Position:
        """The last position; its `history()` has all of them. Raises UserError if moves are not recorded."""
        game, actions = self._record
        return Position(game, actions)

    @property
    def samples(self) -> Mapping[str, np.ndarray]:
        """The samples of this game as it was recorded: arrays `[n, *shape]` by name.

        There may be fewer than moves: an opening leaves none. Read from the disk on the first use.
        """
        return {
            name: column[self._rows]
            for name, column in self._shard.columns.items()
            if name != HELD_OUT
        }

    @property
    def _record(self) -> tuple[Game, list[int]]:
        facts = self._stored.facts
        if facts is None or facts.moves is None or not isinstance(facts.game, Game):
            raise UserError(
                f"episode {self.number}: its algorithm records no moves of such games; samples, returns and length "
                "are there."
            )
        return facts.game, facts.moves

    def __repr__(self) -> str:
        return f"<Episode {self.number}: {self.length} moves, returns {self.returns}>"


class _ShardSamples:
    """The samples of a file, read when they are asked for."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @cached_property
    def columns(self) -> Mapping[str, np.ndarray]:
        return read_shard(self._path).columns


def _columns(path: Path, spec: SampleSpec) -> dict[str, np.ndarray]:
    """Return the samples of a file as the spec has them. Raises UserError if that is not possible."""
    recorded = {name: c for name, c in read_shard(path).columns.items() if name != HELD_OUT}
    columns, _ = adapted_columns(spec, recorded)
    try:
        check_columns(spec, columns)
    except ValueError as error:
        raise UserError(
            f"{path} does not fit the newest file of the same folder: {error}"
        ) from None
    return columns
