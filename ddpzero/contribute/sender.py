"""Sends a contributor's batches from a thread, one after another, for as long as it takes."""

from __future__ import annotations

import logging
import queue
import threading
from dataclasses import dataclass
from functools import partial

from ddpzero.contribute.spool import Batch
from ddpzero.remote.client import Server, ServerRefused, ServerUnavailable, patiently
from ddpzero.remote.messages import UploadAnswer

logger = logging.getLogger(__name__)

# Of HTTP: the token is unknown, or its user may not do this.
OF_TOKEN = (401, 403)
# It is about the batch: a conflict with the run or its models, too large, not valid.
_OF_BATCH = (409, 413, 422)


@dataclass(frozen=True)
class Sent:
    """What became of a batch. answer: None if the server refused it, with `problem`."""

    batch: Batch
    answer: UploadAnswer | None
    problem: str = ""


class Sender:
    """As a context manager, it ends its thread. server: used by the thread alone. waits_for: a problem, or ""."""

    def __init__(self, server: Server) -> None:
        self.waits_for = ""
        self._server = server
        self._waiting: queue.Queue[Batch | None] = queue.Queue()
        self._sent: queue.Queue[Sent] = queue.Queue()
        self._known: set[str] = set()
        self._ends = threading.Event()
        self._problem: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="sender", daemon=True)
        self._thread.start()

    def __enter__(self) -> Sender:
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._waiting.put(None)
        self._thread.join(timeout=2)
        self._server.close()

    def send(self, batch: Batch) -> None:
        """Send a batch, once."""
        if batch.id not in self._known:
            self._known.add(batch.id)
            self._waiting.put(batch)

    def take_sent(self) -> list[Sent]:
        """Return the batches that were answered since the last call. Raises ServerRefused if the token is refused."""
        if self._problem is not None:
            raise self._problem
        sent = []
        while not self._sent.empty():
            sent.append(self._sent.get_nowait())
        return sent

    def _run(self) -> None:
        while (batch := self._waiting.get()) is not None and not self._ends.is_set():
            try:
                self._sent.put(Sent(batch, self._send(batch)))
            except ServerUnavailable:
                # The program ends; the batch is on disk.
                return
            except ServerRefused as error:
                if error.status in OF_TOKEN:
                    self._problem = error
                    return
                self._sent.put(Sent(batch, None, str(error)))
            except Exception as error:
                # take_sent raises it in the main thread.
                self._problem = error
                return

    def _send(self, batch: Batch) -> UploadAnswer:
        """Return the server's answer. Raises ServerRefused if it is about the batch or the token."""
        answer = patiently(
            partial(self._try, batch),
            on_wait=self._wait,
            sleep=self._ends.wait,
            give_up=self._ends.is_set,
        )
        self.waits_for = ""
        return answer

    def _try(self, batch: Batch) -> UploadAnswer:
        try:
            return self._server.upload(batch.id, batch.model, batch.path)
        except ServerRefused as error:
            if error.status in (*OF_TOKEN, *_OF_BATCH):
                raise
            # Finished games are worth more than one wrong address.
            raise ServerUnavailable(str(error).rstrip(".")) from None
        except OSError as error:
            raise ServerUnavailable(f"{batch.path} cannot be sent: {error.strerror}") from None

    def _wait(self, problem: str, seconds: float) -> None:
        logger.warning("%s; the next try is in %.0f s", problem, seconds)
        self.waits_for = problem
