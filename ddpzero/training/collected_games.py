"""Takes in the games that a collection server has accepted, beside those of a rank's own actors.

    server -- files of games --> thread of this rank (every world_size-th file) --> queue --> poll() --> learner

If contributors play more than the learner takes in, it leaves out their oldest games. The server has validated all;
here only their shapes and values are checked again. Which files were taken in is in
the counters of a checkpoint, for all ranks together: no game is taken in twice, also with another number of ranks.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TypeVar

import numpy as np

from ddpzero.remote.client import Server, ServerRefused, ServerUnavailable, patiently
from ddpzero.remote.messages import GamesFile
from ddpzero.replay import Episode, SampleSpec
from ddpzero.run.shard import read_shard
from ddpzero.settings import GameSettings
from ddpzero.system.errors import UserError, require
from ddpzero.system.guarded_files import printable
from ddpzero.system.whole_files import remove
from ddpzero.training.counters import MAX_COLLECTED_AHEAD, Counters, collected_beyond
from ddpzero.training.stored_source import usable_columns

logger = logging.getLogger(__name__)

_Result = TypeVar("_Result")

COLLECTED_FOLDER = "collected"
# Files that wait for the learner, on this machine and, for each rank, on the server.
_MAX_WAITING, _MAX_BEHIND = 2, 8
_POLL_SECONDS = 2.0
# Between two looks for room in the queue; for the thread at the end.
_WAIT_SECONDS, _LAST_SECONDS = 0.2, 5.0
# Between two warnings.
_QUIET_SECONDS = 600.0
# Of HTTP.
_NOT_FOUND = 404


class CollectedGames:
    """The files of one rank. As a context manager, it ends its thread.

    server: used by this thread alone. run_name: of this run. folder: for downloads. counters: of the run; at the start
    they say which files were taken in.
    num_samples: taken in by this process. num_left_out: files that it left out, because there were newer ones.
    """

    def __init__(
        self,
        server: Server,
        run_name: str,
        folder: Path,
        spec: SampleSpec,
        game: GameSettings,
        counters: Counters,
        rank: int,
        world_size: int,
    ) -> None:
        self.num_samples = self.num_left_out = 0
        self._server = server
        self._run_name = run_name
        self._is_ours = False
        self._folder = folder / f"rank{rank}"
        self._spec = spec
        self._game = game
        self._rank = rank
        self._world_size = world_size
        self._counters = counters
        self._done_up_to = counters.collected_up_to
        self._done_beyond = frozenset(collected_beyond(counters))
        self._next: tuple[int, list[Episode]] | None = None
        self._new: list[int] = []
        self._gone_up_to = 0
        self._quiet_until = 0.0
        self._queue: queue.Queue[tuple[int, list[Episode]]] = queue.Queue(_MAX_WAITING)
        self._ends = threading.Event()
        # Of a process that was killed.
        remove(self._folder)
        self._problem: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="collected games", daemon=True)
        self._thread.start()

    def __enter__(self) -> CollectedGames:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ends.set()
        self._server.close()
        # Otherwise it may write to the folder while that is removed.
        self._thread.join(_LAST_SECONDS)
        # The next start removes what a download that hangs leaves.
        with suppress(OSError):
            remove(self._folder)

    def poll(self, newest_version: int) -> list[Episode]:
        """Return the games of the next file, if there is one; never waits. Raises UserError if the server refuses.

        newest_version: the highest weights_version of this run; samples of a later one come from before a resume.
        """
        if self._problem is not None:
            raise self._problem
        if self._next is None:
            try:
                self._next = self._queue.get_nowait()
            except queue.Empty:
                return []
        number, episodes = self._next
        if number > self._counters.collected_up_to + MAX_COLLECTED_AHEAD:
            # Other ranks are behind, or what they took in is not counted yet.
            return []
        self._next = None
        self._new.append(number)
        for episode in episodes:
            versions = episode.columns["weights_version"]
            episode.columns["weights_version"] = np.minimum(versions, np.int32(newest_version))
        self.num_samples += sum(episode.num_samples for episode in episodes)
        return episodes

    def take_new(self) -> tuple[list[int], int]:
        """Return the files whose games `poll` has returned since the last call, and the number up to which files are no
        longer on the server.
        """
        new, self._new = self._new, []
        return new, self._gone_up_to

    def _run(self) -> None:
        cursor = self._done_up_to
        try:
            while not self._ends.is_set():
                found = self._patiently(partial(self._server.games_after, cursor))
                self._require_our_run(has_games=found.newest > 0)
                newest_wanted = found.newest - _MAX_BEHIND * self._world_size
                if found.newest < cursor:
                    self._warn(
                        f"{self._server.url} has {found.newest} files of games, and this run has taken in {cursor}: "
                        "if the server began anew, its games are taken in after as many files"
                    )
                if newest_wanted > cursor:
                    # Contributors are faster than the learner: it takes in their newest games.
                    self._warn(
                        f"contributors are ahead: files {cursor + 1} to {newest_wanted} of their games are left out, "
                        "because there are newer ones"
                    )
                    self.num_left_out += newest_wanted - cursor
                    self._gone_up_to = cursor = newest_wanted
                    continue
                # The server removes the oldest files first.
                first = found.files[0].number if found.files else found.newest + 1
                if first > cursor + 1:
                    self._gone_up_to = first - 1
                for file in found.files:
                    if self._ends.is_set():
                        return
                    cursor = file.number
                    is_done = file.number in self._done_beyond
                    if file.number % self._world_size == self._rank and not is_done:
                        self._fetch(file)
                if not found.files:
                    # All ranks together ask as often as one.
                    self._ends.wait(_POLL_SECONDS * self._world_size)
        except ServerUnavailable:
            # The run ends.
            pass
        except Exception as error:
            # poll raises it in the learner's thread.
            self._problem = error

    def _require_our_run(self, has_games: bool) -> None:
        """Raise UserError if the server collects games for another run; before its first model, it does for none."""
        if self._is_ours:
            return
        try:
            found = self._patiently(self._server.run) if has_games else self._server.run()
        except ServerUnavailable:
            if has_games:
                raise
            return
        require(
            found.run == self._run_name,
            f"{self._server.url} collects games for the run {printable(found.run[:80])}, not for {self._run_name}: "
            "give this run a server of its own (collect.server), or the same run_name to continue that one.",
        )
        self._is_ours = True

    def _warn(self, sentence: str) -> None:
        """Log a warning, but not often."""
        if time.monotonic() >= self._quiet_until:
            logger.warning("%s", sentence)
            self._quiet_until = time.monotonic() + _QUIET_SECONDS

    def _fetch(self, file: GamesFile) -> None:
        path = self._folder / f"games_{file.number:05d}.npz"
        try:
            self._patiently(partial(self._server.download_games, file, path))
            episodes = self._episodes(path)
        except ServerRefused as error:
            if error.status != _NOT_FOUND:
                raise
            # The server has just removed it.
            episodes = []
        self._hand_over(file.number, episodes)
        path.unlink(missing_ok=True)

    def _patiently(self, request: Callable[[], _Result]) -> _Result:
        return patiently(
            request, on_wait=_say_waiting, sleep=self._ends.wait, give_up=self._ends.is_set
        )

    def _hand_over(self, number: int, episodes: list[Episode]) -> None:
        while not self._ends.is_set():
            try:
                self._queue.put((number, episodes), timeout=_WAIT_SECONDS)
                return
            except queue.Full:
                continue

    def _episodes(self, path: Path) -> list[Episode]:
        """Return the games of a file; none, with a warning, if it cannot be used."""
        try:
            shard = read_shard(path)
            columns = usable_columns(path, shard, self._spec, self._game)
        except UserError as error:
            logger.warning("collected games are left out: %s", error)
            return []
        return [
            Episode({name: column[episode.rows] for name, column in columns.items()}, episode.info)
            for episode in shard.episodes
        ]


def _say_waiting(problem: str, seconds: float) -> None:
    logger.warning("%s; the next try is in %.0f s", problem, seconds)
