"""The finished games of a contributor on their way to the server: on disk from the moment they are finished.

    finished/<number>-<random>.npz   games as they finish, some in each file
    batches/<id>.npz                 games of some of these files, to be uploaded under this id
    refused/<id>.npz                 batches that the server will not take

A batch's id is that of its content, and it names the files that it was made of: after a kill at any moment, no game is
lost, and none is in two batches. A batch is removed once the server has answered.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ddpzero.replay import Episode
from ddpzero.replay.buffer import HELD_OUT
from ddpzero.run.shard import Shard, StoredEpisode, read_shard, write_shard
from ddpzero.system.guarded_files import UnreadableFileError
from ddpzero.system.json_text import json_text
from ddpzero.system.whole_files import remove

_FINISHED, _BATCHES, _REFUSED = "finished", "batches", "refused"
_PARTS = "parts"
_ID_LENGTH = 32
_DIGITS = 8
_GAMES_PER_FILE = 25
# That are not sent yet.
_MAX_BATCHES = 3


@dataclass(frozen=True)
class Batch:
    """Games to be uploaded. model: the newest one that played them."""

    id: str
    model: str
    num_games: int
    path: Path


class Spool:
    """The folder of one contributor. Used from one thread.

    num_finished: games that are in no batch yet. description: of the run, for each file; see shard.py.
    """

    def __init__(self, folder: Path, description: Mapping[str, Any]) -> None:
        self._folder = folder
        self._description = dict(description)
        for name in (_FINISHED, _BATCHES, _REFUSED):
            (folder / name).mkdir(parents=True, exist_ok=True)
            for leftover in (folder / name).glob(".partial-*"):
                remove(leftover)
        self._batches = {batch.id: batch for batch in self._read_batches()}
        self._finished = self._read_finished()
        numbers = [int(path.stem[:_DIGITS]) for path, _, _ in self._finished]
        self._next_number = max(numbers, default=-1) + 1

    @property
    def num_finished(self) -> int:
        return sum(number for _, number, _ in self._finished)

    @property
    def batches(self) -> list[Batch]:
        """All batches that are not sent, the oldest first."""
        return list(self._batches.values())

    @property
    def size_bytes(self) -> int:
        """The size of everything that is not sent."""
        return sum(size for _, _, size in self._finished) + sum(
            batch.path.stat().st_size for batch in self._batches.values()
        )

    def add(self, episodes: Sequence[Episode], model: str) -> None:
        """Keep finished games. Raises OSError if the disk is full."""
        for start in range(0, len(episodes), _GAMES_PER_FILE):
            part = episodes[start : start + _GAMES_PER_FILE]
            # Never the name of an earlier file: a batch that is not sent yet may name that one.
            name = f"{self._next_number:0{_DIGITS}d}-{secrets.token_hex(8)}.npz"
            path = self._folder / _FINISHED / name
            games = [(episode.columns, episode.info, model) for episode in part]
            size_bytes = write_shard(path, _shard(games, self._description))
            self._next_number += 1
            self._finished.append((path, len(part), size_bytes))

    def make_batches(
        self, num_games: int, max_games: int, max_bytes: int, is_last: bool = False
    ) -> None:
        """Make batches of about num_games games. If games are finished faster than they are sent, there are at most a
        few batches, and they are as large as the server allows.

        max_games, max_bytes: of a batch. is_last: also of fewer games that are left.
        """
        while self._finished and (is_last or self.num_finished >= num_games):
            if len(self._batches) >= _MAX_BATCHES and not is_last:
                return
            most = max_games if self.num_finished >= 2 * num_games else min(num_games, max_games)
            parts: list[Path] = []
            count = size_bytes = 0
            while self._finished and count < most:
                path, number, size = self._finished[0]
                if parts and (count + number > max_games or size_bytes + size > max_bytes):
                    break
                self._finished.pop(0)
                parts.append(path)
                count, size_bytes = count + number, size_bytes + size
            self._make_batch(parts)

    def remove(self, batch: Batch) -> None:
        """Forget a batch that the server has counted."""
        batch.path.unlink(missing_ok=True)
        del self._batches[batch.id]

    def refuse(self, batch: Batch) -> None:
        """Set a batch aside that the server will not take."""
        batch.path.replace(self._folder / _REFUSED / batch.path.name)
        del self._batches[batch.id]

    def _make_batch(self, parts: Sequence[Path]) -> None:
        games = []
        for path in parts:
            shard = read_shard(path)
            for episode in shard.episodes:
                columns = {
                    name: column[episode.rows]
                    for name, column in shard.columns.items()
                    if name != HELD_OUT
                }
                games.append((columns, episode.info, episode.model))
        names = [path.name for path in parts]
        digest = hashlib.sha256(json_text(names).encode())
        for path in parts:
            digest.update(path.read_bytes())
        batch_id = digest.hexdigest()[:_ID_LENGTH]
        path = self._folder / _BATCHES / f"{batch_id}.npz"
        write_shard(path, _shard(games, {**self._description, _PARTS: names}))
        self._batches[batch_id] = Batch(batch_id, games[-1][2], len(games), path)
        for part in parts:
            part.unlink()

    def _read_batches(self) -> list[Batch]:
        """Return the batches that were not sent; finish the making of one that a kill interrupted."""
        batches = []
        paths = (self._folder / _BATCHES).glob("*.npz")
        for path in sorted(paths, key=lambda path: path.stat().st_mtime_ns):
            try:
                shard = read_shard(path, with_samples=False)
                parts = [str(name) for name in shard.description[_PARTS]]
            except (UnreadableFileError, KeyError, TypeError):
                path.replace(self._folder / _REFUSED / path.name)
                continue
            for name in parts:
                if Path(name).name == name:
                    (self._folder / _FINISHED / name).unlink(missing_ok=True)
            if shard.episodes:
                batches.append(
                    Batch(path.stem, shard.episodes[-1].model, len(shard.episodes), path)
                )
        return batches

    def _read_finished(self) -> list[tuple[Path, int, int]]:
        finished = []
        for path in sorted((self._folder / _FINISHED).glob("[0-9]" * _DIGITS + "-*.npz")):
            try:
                number = len(read_shard(path, with_samples=False).episodes)
                finished.append((path, number, path.stat().st_size))
            except UnreadableFileError:
                path.replace(self._folder / _REFUSED / path.name)
        return finished


def _shard(
    games: Sequence[tuple[Mapping[str, np.ndarray], Mapping[str, Any], str]],
    description: Mapping[str, Any],
) -> Shard:
    """games: columns, info and model of each."""
    names = list(games[0][0])
    columns = {name: np.concatenate([of_game[name] for of_game, _, _ in games]) for name in names}
    episodes, first = [], 0
    for of_game, info, model in games:
        last = first + len(of_game[names[0]])
        episodes.append(StoredEpisode(dict(info), model, slice(first, last)))
        first = last
    columns[HELD_OUT] = np.zeros(first, np.bool_)
    return Shard(columns, episodes, description)
