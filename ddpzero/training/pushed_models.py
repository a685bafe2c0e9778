"""Pushes each released model of a run to a collection server, from a thread of rank 0: the training never waits."""

from __future__ import annotations

import logging
import threading
from functools import partial
from pathlib import Path
from types import TracebackType

import torch

from ddpzero.algorithms.base import CompleteUpdater
from ddpzero.remote.client import Server, ServerRefused, ServerUnavailable, patiently
from ddpzero.remote.model_file import ModelFile, model_file_bytes
from ddpzero.run.checkpoint_content import load_weights
from ddpzero.run.models import MODELS_FOLDER
from ddpzero.system.errors import UserError

logger = logging.getLogger(__name__)

# Another model has the name: an earlier process of this run has pushed it, with other settings of self-play.
_CONFLICT = 409
# Also refused to who takes in games, which ends the run with the sentence.
_FOR_ALL_REQUESTS = (401, 403)
# For a model that is on its way when the run ends.
_LAST_SECONDS = 60.0


class PushedModels:
    """Pushes models; of those that wait, only the newest. As a context manager, it ends its thread.

    server: used by the thread alone. run_dir: of the run. newest: the last model that was offered.
    """

    def __init__(self, server: Server, run_dir: Path) -> None:
        self.newest = ""
        self._server = server
        self._run_dir = run_dir
        self._waiting: tuple[str, bytes] | None = None
        self._changed = threading.Condition()
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pushed models", daemon=True)
        self._thread.start()

    def __enter__(self) -> PushedModels:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ends.set()
        with self._changed:
            self._changed.notify_all()
        self._thread.join(_LAST_SECONDS)
        self._server.close()

    def offer(self, model: str, updater: CompleteUpdater) -> None:
        """Push a model of the run, unless it was offered before. updater: knows what actors need beside its weights."""
        if model == self.newest:
            return
        self.newest = model
        try:
            released = load_weights(self._run_dir / MODELS_FOLDER / model)
        except (UserError, OSError) as error:
            logger.error("the model %s cannot be pushed: %s", model, error)
            return
        newest = updater.released_weights()
        others: dict[str, torch.Tensor] = {
            name: value for name, value in updater.actor_weights().items() if name not in newest
        }
        played = [name for name in updater.actor_weights() if name in newest]
        content = model_file_bytes(
            ModelFile(
                model=released.model,
                run=self._run_dir.name,
                config=released.config,
                counters=dict(released.counters),
                weights=released.weights,
                actor_weights={
                    **{name: released.weights[name] for name in played if name in released.weights},
                    **others,
                },
            )
        )
        with self._changed:
            self._waiting = released.model, content
            self._changed.notify_all()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting is not None or self._ends.is_set())
                if self._waiting is None:
                    return
                (model, content), self._waiting = self._waiting, None
            try:
                patiently(
                    partial(self._server.push_model, model, content),
                    on_wait=lambda problem, seconds: logger.warning(
                        "%s; the next try is in %.0f s", problem, seconds
                    ),
                    sleep=self._ends.wait,
                    give_up=lambda: self._ends.is_set() or self._waiting is not None,
                )
                logger.info("pushed the model %s", model)
            except ServerUnavailable as error:
                logger.warning("the model %s was not pushed: %s", model, error)
            except ServerRefused as error:
                if error.status == _CONFLICT:
                    logger.info("%s", error)
                elif error.status not in _FOR_ALL_REQUESTS:
                    logger.error("the model %s was not pushed: %s", model, error)
            except Exception:
                logger.exception("the model %s was not pushed", model)
