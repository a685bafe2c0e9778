"""What a server gives a contributor to do: the newest model, and rating matches. A thread asks for it.

    thread: task, download --> model or match --> main thread: play --> report --> thread

The main thread never waits for the network: its actors play on, and what they finish reaches the disk.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from ddpzero.contribute.models import DownloadedModels
from ddpzero.contribute.sender import OF_TOKEN
from ddpzero.remote.client import Server, ServerRefused, ServerUnavailable, patiently
from ddpzero.remote.messages import MatchReport, ModelInformation, Task, TaskRequest
from ddpzero.remote.model_file import ModelFile

logger = logging.getLogger(__name__)

_Result = TypeVar("_Result")

# For the report of a match that is on its way.
_LAST_REPORT_SECONDS = 5.0


@dataclass(frozen=True)
class WantedMatch:
    """A match to play. model, opponent: folders of the players."""

    task: Task
    model: Path
    opponent: Path


class Work:
    """As a context manager, it ends its thread.

    server: used by the thread alone. models: too. poll_seconds: between two looks for a newer model. waits_for: a
    problem with the server; "" for none.
    """

    def __init__(
        self, server: Server, models: DownloadedModels, plays_matches: bool, poll_seconds: float
    ) -> None:
        self.waits_for = ""
        self._server = server
        self._models = models
        self._poll_seconds = poll_seconds
        self._wants_match = plays_matches
        self._plays_matches = plays_matches
        # The hash of its file.
        self._newest = ""
        self._new_models: queue.SimpleQueue[ModelFile] = queue.SimpleQueue()
        self._matches: queue.SimpleQueue[WantedMatch] = queue.SimpleQueue()
        self._reports: queue.SimpleQueue[MatchReport] = queue.SimpleQueue()
        self._problem: Exception | None = None
        self._ends = threading.Event()
        self._wakes = threading.Event()
        self._thread = threading.Thread(target=self._run, name="work", daemon=True)
        self._thread.start()

    def __enter__(self) -> Work:
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._wakes.set()
        self._thread.join(timeout=_LAST_REPORT_SECONDS)
        self._server.close()

    def take_model(self) -> ModelFile | None:
        """Return the newest model, if it is another one than before. Raises UserError if the server cannot be used."""
        if self._problem is not None:
            raise self._problem
        newest = None
        while not self._new_models.empty():
            newest = self._new_models.get()
        return newest

    def take_match(self) -> WantedMatch | None:
        """Return a match to play, if there is one; there is no other before `end_match`."""
        return None if self._matches.empty() else self._matches.get()

    def end_match(self, report: MatchReport | None) -> None:
        """Report a match that was played; None: it could not be played."""
        if report is None:
            self._wants_match = self._plays_matches
            return
        self._reports.put(report)
        self._wakes.set()

    def _run(self) -> None:
        try:
            while not self._ends.is_set():
                self._wakes.clear()
                if not self._reports.empty():
                    self._report(self._reports.get())
                if self._look():
                    self._wakes.wait(self._poll_seconds)
            if not self._reports.empty():
                self._server.report_match(self._reports.get())
        except ServerUnavailable:
            # The program ends.
            pass
        except Exception as error:
            # take_model raises it in the main thread.
            self._problem = error

    def _look(self) -> bool:
        """Ask for work. Return whether to rest then: not after a match, for there may be a newer model, too."""
        kinds = ["self_play", "match"] if self._wants_match else ["self_play"]
        try:
            task = self._patiently(partial(self._server.task, TaskRequest(kinds)))
            if task.kind == "match":
                self._take_match(task)
                return False
            if task.model.sha256 != self._newest:
                self._new_models.put(self._fetch(task.model))
                self._newest = task.model.sha256
        except ServerRefused as error:
            if error.status in OF_TOKEN:
                raise
            # Such as a model that the server has just removed.
            logger.warning("%s", error)
        return True

    def _take_match(self, task: Task) -> None:
        assert task.opponent is not None
        self._wants_match = False
        players = [self._models.as_player(self._fetch(of)) for of in (task.model, task.opponent)]
        self._matches.put(WantedMatch(task, *players))

    def _report(self, report: MatchReport) -> None:
        try:
            self._patiently(partial(self._server.report_match, report))
        except ServerRefused as error:
            if error.status in OF_TOKEN:
                raise
            logger.warning("%s", error)
        self._wants_match = self._plays_matches

    def _fetch(self, model: ModelInformation) -> ModelFile:
        return self._patiently(partial(self._models.fetch, self._server, model))

    def _patiently(self, request: Callable[[], _Result]) -> _Result:
        result = patiently(
            request, on_wait=self._wait, sleep=self._ends.wait, give_up=self._ends.is_set
        )
        self.waits_for = ""
        return result

    def _wait(self, problem: str, seconds: float) -> None:
        logger.warning("%s; the next try is in %.0f s", problem, seconds)
        self.waits_for = problem
