"""Runs `ddpzero contribute URL`: newest model, self-play, upload, and again, until it is stopped."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ddpzero import __version__
from ddpzero.actors import ActorPool, WeightsChannel
from ddpzero.algorithms.base import CompleteAlgorithm
from ddpzero.algorithms.loader import load_algorithm
from ddpzero.config.conversion import settings_from_dict, with_defaults
from ddpzero.contribute.line import StatusLine
from ddpzero.contribute.matches import play_match
from ddpzero.contribute.models import DownloadedModels
from ddpzero.contribute.sender import OF_TOKEN, Sender
from ddpzero.contribute.settings import ContributeSettings
from ddpzero.contribute.spool import Spool
from ddpzero.games import Game
from ddpzero.games.core.rules_hash import rules_hash
from ddpzero.remote.client import (
    Server,
    ServerRefused,
    ServerUnavailable,
    patiently,
    read_token,
)
from ddpzero.remote.contributed import contributed_config
from ddpzero.remote.messages import ModelInformation, RunInformation, Task, TaskRequest
from ddpzero.remote.model_file import ModelFile
from ddpzero.replay import Episode
from ddpzero.settings import Settings
from ddpzero.system.cores import usable_cores
from ddpzero.system.errors import require
from ddpzero.system.folder_lock import held_folder
from ddpzero.system.log_file import LogFileHandler
from ddpzero.system.signals import StopSignal, install_stop_signal

logger = logging.getLogger(__name__)

LOG_FILE = "contribute.log"
_SLICE_SECONDS = 0.5
# After Ctrl-C: for games that are nearly finished, and for batches that are on their way.
_LAST_GAMES_SECONDS, _LAST_SENDING_SECONDS = 5.0, 20.0
# Of a batch, in the log.
_MAX_REASONS = 3
_HELD = "folder={folder} belongs to another contributor that is running: stop that one, or name another folder."
_COMPILING = "compiling for the first time"
_PAUSES = "pauses: max_waiting_mib of games wait for the server"


def run_contribute(settings: ContributeSettings) -> None:
    """Play until Ctrl-C or SIGTERM. Raises UserError."""
    assert settings.server is not None
    folder = Path(settings.folder).expanduser()
    token = settings.token or read_token(settings.token_file, "token_file")
    stop = install_stop_signal()
    with ExitStack() as stack:
        stack.enter_context(held_folder(folder, _HELD.format(folder=folder)))
        line = stack.enter_context(StatusLine())
        _set_up_log(folder, line)
        server, uploads = Server(settings.server, token), Server(settings.server, token)
        stack.callback(server.close)
        if not server.is_private:
            logger.warning("%s has no TLS: everybody on the way can read your token", server.url)
        sender = stack.enter_context(Sender(uploads))
        contribution = Contribution(settings, folder, server, sender, stop, line)
        stack.callback(contribution.stop_actors)
        contribution.run()


class Contribution:
    """One contributor at work: its main loop, which owns the actors and the spool."""

    def __init__(
        self,
        settings: ContributeSettings,
        folder: Path,
        server: Server,
        sender: Sender,
        stop: StopSignal,
        line: StatusLine,
    ) -> None:
        self._settings = settings
        self._folder = folder
        self._server = server
        self._sender = sender
        self._stop = stop
        self._line = line
        self._models = DownloadedModels(folder / "models")
        self._spool: Spool | None = None
        self._actors: ExitStack | None = None
        self._pool: ActorPool | None = None
        self._channel: WeightsChannel | None = None
        self._model: ModelFile | None = None
        # weights_version of each publish.
        self._versions: list[int] = []
        self._config: dict[str, Any] = {}
        self._limits: tuple[int, int] | None = None
        self._looked_at = 0.0

    def run(self) -> None:
        """Contribute until the stop signal; then finish what is nearly done."""
        try:
            information = self._wait_for_run()
            self._spool = Spool(self._folder, self._description(information))
            self._limits = information.max_upload_games, information.max_upload_bytes
            self._send_batches()
            while not self._stop.is_set:
                if time.monotonic() - self._looked_at >= self._settings.poll_seconds:
                    self._look_for_work()
                self._play(_SLICE_SECONDS)
            self._finish()
        except ServerUnavailable as error:
            logger.info("stopped while waiting: %s", error)

    def stop_actors(self) -> None:
        if self._actors is not None:
            self._actors.close()
            self._actors = None

    # ------------------------------------------------------------------ work from the server

    def _wait_for_run(self) -> RunInformation:
        """Return what the server collects, once it has a model. Raises UserError if it cannot be played here."""
        information = self._patiently(self._server.run)
        check_run(self._server.url, information)
        logger.info(
            "%s collects games of %s for the run %s",
            self._server.url,
            information.config["game"]["name"],
            information.run,
        )
        return information

    def _look_for_work(self) -> None:
        """Take the newest model, or play a rating match."""
        self._looked_at = time.monotonic()
        kinds = ["self_play", "match"] if self._settings.plays_matches else ["self_play"]
        try:
            task = self._server.task(TaskRequest(kinds))
            if task.kind == "match":
                self._play_match(task)
            else:
                self._take_model(task.model)
        except ServerRefused as error:
            if error.status in OF_TOKEN:
                raise
            # Such as a model that the server has just removed.
            logger.warning("%s", error)
        except ServerUnavailable as error:
            logger.warning("%s", error)
            self._line.waits_for = str(error)
            if self._model is None:
                # There is nothing to play yet.
                self._sleep(min(error.wait_seconds or 5.0, 60.0))
                self._looked_at = 0.0
            return
        self._line.waits_for = ""

    def _take_model(self, wanted: ModelInformation) -> None:
        if self._model is not None and self._model.model == wanted.name:
            return
        model = self._patiently(lambda: self._models.fetch(self._server, wanted))
        config = contributed_config(model.config)
        if self._pool is None or config != self._config or not self._fits(model):
            self._start_actors(model, config)
        assert self._channel is not None
        # Actors take only weights with a higher number, and a run that resumes counts its versions again.
        self._channel.publish(model.actor_weights, len(self._versions))
        self._versions.append(model.weights_version)
        self._model = model
        self._line.model = model.model
        logger.info("plays with %s", model.model)

    def _play_match(self, task: Task) -> None:
        assert task.opponent is not None
        model, opponent = (
            self._models.as_player(self._patiently(partial(self._models.fetch, self._server, of)))
            for of in (task.model, task.opponent)
        )
        self._line.note = f"rating match of {task.num_games} games"
        report = play_match(task, model, opponent, self._device())
        self._patiently(lambda: self._server.report_match(report))
        self._line.note = ""
        self._line.match_games += task.num_games

    # ------------------------------------------------------------------ play

    def _start_actors(self, model: ModelFile, config: dict[str, Any]) -> None:
        self.stop_actors()
        settings = self._with_own_machine(settings_from_dict(with_defaults(config)))
        algorithm = load_algorithm(settings)
        self._actors = ExitStack()
        self._channel = self._actors.enter_context(WeightsChannel(model.actor_weights))
        self._pool = self._actors.enter_context(
            make_pool(algorithm, settings, self._channel, self._device(), self._folder)
        )
        self._config = config
        self._layout = _layout(model)

    def _fits(self, model: ModelFile) -> bool:
        """Return whether the actors' channel can bring these weights: networks may grow."""
        return self._layout == _layout(model)

    def _play(self, seconds: float) -> None:
        """Let the actors play for some time, keep what they finish, and send batches."""
        assert self._spool is not None
        is_full = self._spool.size_bytes > self._settings.max_waiting_mib * 2**20
        if self._pool is None or self._model is None or is_full:
            if is_full:
                self._line.note = _PAUSES
            self._sleep(seconds)
        else:
            episodes = self._pool.poll(seconds)
            self._keep(episodes, self._model.model)
            if self._pool.is_compiling:
                self._line.note = _COMPILING
            elif self._line.note in (_COMPILING, _PAUSES):
                self._line.note = ""
        self._make_batches()
        self._send_batches()

    def _keep(self, episodes: list[Episode], model: str) -> None:
        assert self._spool is not None
        versions = np.array(self._versions, np.int32)
        for episode in episodes:
            episode.info.pop("actor_index", None)
            numbers = episode.columns["weights_version"]
            episode.columns["weights_version"] = versions[numbers]
        self._spool.add(episodes, model)
        self._line.games += len(episodes)

    def _make_batches(self, is_last: bool = False) -> None:
        assert self._spool is not None and self._limits is not None
        # The files of a batch are compressed together, a little better than each of them.
        max_games, max_bytes = self._limits
        self._spool.make_batches(self._settings.games_per_upload, max_games, max_bytes, is_last)

    def _send_batches(self) -> None:
        assert self._spool is not None
        for batch in self._spool.batches:
            self._sender.send(batch)
        for sent in self._sender.take_sent():
            if sent.answer is None:
                logger.warning("a batch of %d games: %s", sent.batch.num_games, sent.problem)
                self._spool.refuse(sent.batch)
                self._line.rejected += sent.batch.num_games
                continue
            self._spool.remove(sent.batch)
            answer = sent.answer
            self._line.accepted += answer.accepted
            self._line.rejected += answer.rejected
            for reason in answer.reasons[:_MAX_REASONS]:
                logger.warning("rejected: %s", reason)
        self._line.waiting = sum(batch.num_games for batch in self._spool.batches)
        self._line.waits_for = self._sender.waits_for or self._line.waits_for
        self._line.show()

    def _finish(self) -> None:
        """Finish what is nearly done: games that end within seconds, and sending."""
        assert self._spool is not None
        logger.info("stopping after %s: finishing what is nearly done", self._stop.reason)
        self._line.note = "finishing (Ctrl-C again leaves at once)"
        until = time.monotonic() + _LAST_GAMES_SECONDS
        while self._pool is not None and time.monotonic() < until:
            self._play(_SLICE_SECONDS)
        self.stop_actors()
        self._pool = None
        self._make_batches(is_last=True)
        until = time.monotonic() + _LAST_SENDING_SECONDS
        self._send_batches()
        while self._spool.batches and time.monotonic() < until:
            time.sleep(0.1)
            self._send_batches()
        left = sum(batch.num_games for batch in self._spool.batches)
        self._line.note = ""
        self._line.show()
        if left:
            logger.warning("%d games are not sent yet: the next start sends them", left)

    # ------------------------------------------------------------------ small things

    def _with_own_machine(self, settings: Settings) -> Settings:
        own = self._settings
        actors = replace(
            settings.actors,
            num_actors=own.num_actors or max(1, usable_cores() - 1),
            num_games=own.num_games or settings.actors.num_games,
        )
        return replace(settings, actors=actors)

    def _device(self) -> str:
        return choose_device(self._settings)

    def _description(self, information: RunInformation) -> dict[str, Any]:
        return {"run": information.run, "config": information.config, "ddpzero": __version__}

    def _patiently(self, request: Any) -> Any:
        def wait(problem: str, seconds: float) -> None:
            logger.warning("%s; the next try is in %.0f s", problem, seconds)
            self._line.waits_for = problem
            self._line.show()

        result = patiently(
            request, on_wait=wait, sleep=self._sleep, give_up=lambda: self._stop.is_set
        )
        self._line.waits_for = ""
        return result

    def _sleep(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._stop.is_set and time.monotonic() < until:
            time.sleep(min(0.2, max(0.0, until - time.monotonic())))
            self._line.show()


def check_run(url: str, information: RunInformation) -> Game:
    """Return the game that a server collects. Raises UserError if it cannot be played here, or has other rules."""
    config = contributed_config(information.config)
    game = load_algorithm(settings_from_dict(config)).game
    assert isinstance(game, Game)
    require(
        rules_hash(game) == information.rules,
        f"{url} plays {game.name} by other rules than ddpzero {__version__}: install the version that it has, "
        f"{information.ddpzero[:40]}.",
    )
    return game


def choose_device(settings: ContributeSettings) -> str:
    """Return the device on which networks are evaluated. Raises UserError if there is no GPU and one is wanted."""
    has_gpu = torch.cuda.is_available()
    require(
        settings.device != "cuda" or has_gpu,
        "device=cuda: PyTorch sees no GPU here; use device=auto or device=cpu.",
    )
    return "cuda:0" if has_gpu and settings.device != "cpu" else "cpu"


def make_pool(
    algorithm: CompleteAlgorithm,
    settings: Settings,
    channel: WeightsChannel,
    device: str,
    folder: Path,
) -> ActorPool:
    """Return the actors of a contributor. folder: for their logs."""
    return ActorPool(
        algorithm.actor_spec(settings.actors, device),
        channel,
        num_actors=settings.actors.num_actors or 1,
        rank=0,
        seed=int.from_bytes(os.urandom(7), "little"),
        sample_spec=algorithm.sample_spec(),
        max_restarts=settings.actors.max_restarts,
        hang_seconds=settings.actors.hang_seconds,
        log_dir=folder / "logs",
    )


def _layout(model: ModelFile) -> Mapping[str, Any]:
    return {name: (value.dtype, value.shape) for name, value in model.actor_weights.items()}


def _set_up_log(folder: Path, line: StatusLine) -> None:
    logging.basicConfig(
        level=logging.INFO, handlers=[line.handler(), LogFileHandler(folder / LOG_FILE)]
    )
    for name in ("httpx2", "httpcore2"):
        logging.getLogger(name).setLevel(logging.WARNING)
    if not sys.stderr.isatty():
        line.interval_seconds = 30.0
