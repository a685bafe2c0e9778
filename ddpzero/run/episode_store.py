"""Keeps every finished episode of one rank on disk, in shards (shard.py), without making the learner wait.

    learner -- add --> open shard in memory -- full, or a checkpoint --> queue --> writer thread --> episodes/rank<r>/

A checkpoint names the shards of its samples, so `flush` comes before it. A shard that could not be written is told by
`take_lost`: the learner's buffer still has its samples, which are then written with `add_samples`.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from ddpzero.replay import Episode
from ddpzero.replay.buffer import HELD_OUT
from ddpzero.replay.origin import MAX_ROWS, NOWHERE, ShardKey
from ddpzero.run.checkpoint_files import sync_folder
from ddpzero.run.shard import Shard, StoredEpisode, list_shards, shard_path, write_shard
from ddpzero.system.outage import Outage
from ddpzero.system.whole_files import remove

logger = logging.getLogger(__name__)

# A shard is closed when its samples take this much memory.
_SHARD_BYTES = 32 << 20
# Shards that wait for the disk; if there are more, episodes are no longer stored until it catches up.
_MAX_WAITING = 8


class EpisodeStore:
    """One rank's store. Use it from one thread; as a context manager, it writes what is left at the end.

    folder: of the run's episodes. description: of the run, for each shard. model: the name of the newest model, for the
    following episodes. num_stored, num_dropped: episodes since the start of this process; those that were dropped
    because the disk is full or too slow. size_bytes: of the files written by this process.
    """

    def __init__(self, folder: Path, rank: int, description: Mapping[str, Any]) -> None:
        self.model = ""
        self.num_stored = self.num_dropped = self.size_bytes = 0
        self._folder = folder
        self._rank = rank
        self._description = {**description, "rank": rank}
        self._number = max((key.number for key in list_shards(folder, rank)), default=-1) + 1
        self._open = _OpenShard()
        self._waiting: deque[tuple[ShardKey, _OpenShard]] = deque()
        self._lost: list[ShardKey] = []
        self._changed = threading.Condition()
        self._is_writing = False
        # The folders above the shards may be new. Of the writer thread.
        self._are_folders_synced = False
        self._problem: Exception | None = None
        self._outage = Outage("episodes")
        for leftover in folder.glob(f"rank{rank}/.partial-*"):
            remove(leftover)

    def __enter__(self) -> EpisodeStore:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Write what is left; a full disk does not prevent the end."""
        with suppress(OSError):
            self.flush()

    @property
    def next_number(self) -> int:
        """The number of the next shard that is not begun yet."""
        return self._number + (1 if self._open.num_samples else 0)

    def add(self, episode: Episode, is_held_out: bool) -> int:
        """Store an episode; return the origin of its first sample, or NOWHERE if it has none or cannot be stored."""
        num_samples = episode.num_samples
        if num_samples > MAX_ROWS or len(self._waiting) >= _MAX_WAITING:
            self.num_dropped += 1
            return NOWHERE
        if self._open.num_samples + num_samples > MAX_ROWS:
            self._close_open_shard()
        origin = ShardKey(self._rank, self._number).origin(self._open.num_samples)
        self._open.add(episode, is_held_out, self.model)
        self.num_stored += 1
        if self._open.size_bytes >= _SHARD_BYTES:
            self._close_open_shard()
        return origin if num_samples else NOWHERE

    def add_samples(self, columns: Mapping[str, np.ndarray], is_held_out: np.ndarray) -> int:
        """Store at most MAX_ROWS samples of unknown episodes; return the origin of the first one."""
        self._close_open_shard()
        origin = ShardKey(self._rank, self._number).origin(0)
        self._open.add_samples(columns, is_held_out)
        self._close_open_shard()
        return origin

    def begin_flush(self) -> None:
        """Let the writer begin with what is not on disk yet; `flush` waits for it."""
        self._close_open_shard()

    def flush(self) -> None:
        """Wait until everything is on disk. Raises OSError if a shard could not be written since the last call."""
        self._close_open_shard()
        # Again, should it have failed before.
        self._let_write()
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting)
            problem, self._problem = self._problem, None
        if problem is not None:
            raise problem

    def take_lost(self) -> list[ShardKey]:
        """Return the shards that could not be written since the last call."""
        with self._changed:
            lost, self._lost = self._lost, []
        return lost

    def remove_from(self, number: int) -> None:
        """Remove this rank's shards from a number on: the run will play their episodes again. Only before `add`."""
        for key in list_shards(self._folder, self._rank):
            if key.number >= number:
                remove(shard_path(self._folder, key))
        self._number = min(self._number, number)

    def _close_open_shard(self) -> None:
        if self._open.num_samples == 0:
            return
        with self._changed:
            self._waiting.append((ShardKey(self._rank, self._number), self._open))
        self._number += 1
        self._open = _OpenShard()
        self._let_write()

    def _let_write(self) -> None:
        """Start the writer thread if there is something to write. Raises RuntimeError if there can be no thread."""
        with self._changed:
            if self._waiting and not self._is_writing:
                threading.Thread(
                    target=self._write_waiting, name="episode writer", daemon=True
                ).start()
                self._is_writing = True

    def _write_waiting(self) -> None:
        """The writer thread: write the shards that wait, in their order."""
        while True:
            with self._changed:
                if not self._waiting:
                    self._is_writing = False
                    return
                key, shard = self._waiting[0]
            problem: Exception | None = None
            with self._outage.watch():
                try:
                    self.size_bytes += self._write(key, shard)
                # A bug of ours, too, must not leave samples that nobody knows to be lost; flush raises it.
                except Exception as error:
                    problem = error
                    raise
            with self._changed:
                self._waiting.popleft()
                self._problem = self._problem or problem
                if problem is not None:
                    self._lost.append(key)
                self._changed.notify_all()

    def _write(self, key: ShardKey, shard: _OpenShard) -> int:
        """Write a shard whose name survives a power cut, too; return its size in bytes. Raises OSError.

        A checkpoint that names the shard may be on disk before the folder would be by itself.
        """
        path = shard_path(self._folder, key)
        size_bytes = write_shard(path, shard.whole(self._description))
        try:
            sync_folder(path.parent)
            if not self._are_folders_synced:
                sync_folder(self._folder)
                sync_folder(self._folder.parent)
                self._are_folders_synced = True
        except OSError:
            # Its samples will be stored again.
            path.unlink(missing_ok=True)
            raise
        return size_bytes


def remove_surplus(
    folder: Path, max_bytes: float, needed: Collection[ShardKey], num_ranks: int
) -> None:
    """Remove the oldest shards of all ranks until they take at most max_bytes, but none that is needed.

    needed: those that the checkpoints of the run name. Of each of the num_ranks ranks that train now, shards from its
    newest needed one on stay, too: the next checkpoint may need them. folder: of the run's episodes. Raises OSError.
    """
    newest: dict[int, int] = {}
    for key in needed:
        newest[key.rank] = max(key.number, newest.get(key.rank, 0))
    sizes = {key: shard_path(folder, key).stat() for key in list_shards(folder)}
    surplus = sum(status.st_size for status in sizes.values()) - max_bytes
    for key in sorted(sizes, key=lambda key: sizes[key].st_mtime_ns):
        if surplus <= 0:
            return
        is_newer = key.rank < num_ranks and key.number >= newest.get(key.rank, 0)
        if key not in needed and not is_newer:
            shard_path(folder, key).unlink()
            surplus -= sizes[key].st_size


class _OpenShard:
    """The episodes of a shard that is not written yet. Their columns stay views of the messages that brought them."""

    def __init__(self) -> None:
        self.num_samples = self.size_bytes = 0
        self._columns: list[Mapping[str, np.ndarray]] = []
        self._held_out: list[np.ndarray] = []
        self._episodes: list[StoredEpisode] = []

    def add(self, episode: Episode, is_held_out: bool, model: str) -> None:
        first, num_samples = self.num_samples, episode.num_samples
        self.add_samples(episode.columns, np.full(num_samples, is_held_out))
        self._episodes.append(StoredEpisode(episode.info, model, slice(first, first + num_samples)))

    def add_samples(self, columns: Mapping[str, np.ndarray], is_held_out: np.ndarray) -> None:
        self.num_samples += len(is_held_out)
        self.size_bytes += sum(column.nbytes for column in columns.values())
        self._columns.append(columns)
        self._held_out.append(is_held_out)

    def whole(self, description: Mapping[str, Any]) -> Shard:
        columns = {
            name: np.concatenate([columns[name] for columns in self._columns])
            for name in self._columns[0]
        }
        columns[HELD_OUT] = np.concatenate(self._held_out)
        return Shard(columns, self._episodes, description)
