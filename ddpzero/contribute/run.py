"""Runs `ddpzero contribute URL`: newest model, self-play, upload, and again, until it is stopped."""

from __future__ import annotations

import logging
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from ddpzero import __version__
from ddpzero.algorithms.loader import load_algorithm
from ddpzero.config.conversion import settings_from_dict
from ddpzero.contribute.line import StatusLine
from ddpzero.contribute.local_actors import LocalActors, choose_device
from ddpzero.contribute.matches import RatingMatch
from ddpzero.contribute.models import DownloadedModels
from ddpzero.contribute.pace import SendingPace
from ddpzero.contribute.sender import Sender
from ddpzero.contribute.settings import ContributeSettings
from ddpzero.contribute.spool import Spool
from ddpzero.contribute.work import Work
from ddpzero.games import Game
from ddpzero.games.core.rules_hash import rules_hash
from ddpzero.remote.client import Server, ServerUnavailable, patiently, read_token
from ddpzero.remote.contributed import contributed_config
from ddpzero.remote.messages import RunInformation
from ddpzero.system.errors import UserError, require
from ddpzero.system.folder_lock import held_folder
from ddpzero.system.guarded_files import printable
from ddpzero.system.log_file import LogFileHandler
from ddpzero.system.signals import StopSignal, install_stop_signal

logger = logging.getLogger(__name__)

LOG_FILE = "contribute.log"
_SLICE_SECONDS, _PAUSE_SECONDS = 0.5, 0.1
# With more games than are sent within so long, none are played: old games are worth less than new ones. It counts only
# while the server answers; so many batches may always wait.
_MAX_SECONDS_TO_SEND = 60.0
_BATCHES_ALLOWED = 4
# After Ctrl-C: for games that are nearly finished, and for batches that are on their way.
_LAST_GAMES_SECONDS, _LAST_SENDING_SECONDS = 5.0, 20.0
# Of a batch, in the log; characters of each.
_MAX_REASONS, _MAX_REASON = 3, 300
_MAX_NAME = 80
_HELD = "folder={folder} belongs to another contributor that is running: stop that one, or name another folder."


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
        line.server = server.url
        if not server.is_private:
            logger.warning("%s has no TLS: everybody on the way can read your token", server.url)
        try:
            information = wait_for_run(server, stop, line)
        except ServerUnavailable as error:
            logger.info("stopped while waiting: %s", error)
            return
        description = {
            "run": information.run,
            "config": information.config,
            "ddpzero": __version__,
        }
        models = DownloadedModels(folder / "models")
        contribution = Contribution(
            settings=settings,
            limits=(information.max_upload_games, information.max_upload_bytes),
            stop=stop,
            line=line,
            spool=Spool(folder, description),
            actors=stack.enter_context(LocalActors(settings, folder)),
            sender=stack.enter_context(Sender(uploads)),
            work=stack.enter_context(
                Work(server, models, settings.plays_matches, settings.poll_seconds)
            ),
        )
        stack.callback(contribution.abandon_match)
        contribution.run()


class Contribution:
    """One contributor at work: its main loop. limits: games and bytes of an upload.

    It pauses playing while max_waiting_mib wait, and while more games wait than a server that answers takes in within
    about a minute. While a server is away, only max_waiting_mib is a limit.
    """

    def __init__(
        self,
        *,
        settings: ContributeSettings,
        limits: tuple[int, int],
        stop: StopSignal,
        line: StatusLine,
        spool: Spool,
        actors: LocalActors,
        sender: Sender,
        work: Work,
    ) -> None:
        self._settings = settings
        self._limits = limits
        self._stop = stop
        self._line = line
        self._spool = spool
        self._actors = actors
        self._sender = sender
        self._work = work
        self._match: RatingMatch | None = None
        self._pace = SendingPace()
        self._is_finishing = False

    def run(self) -> None:
        """Contribute until the stop signal; then finish what is nearly done. Says at the end what was achieved."""
        try:
            self._send_batches()
            while not self._stop.is_set:
                self._take_model()
                self._play_match()
                self._play(_SLICE_SECONDS)
            self._finish()
        except UserError:
            # Such as a token that has ended: finished games are still there.
            logger.info("%s", self._result())
            raise
        logger.info("%s", self._result())

    def _result(self) -> str:
        line, left = self._line, self._num_left
        rejected = f", {line.rejected:,} rejected" if line.rejected else ""
        where = f" in {self._settings.folder}" if left else ""
        return (
            f"stopped: {line.accepted:,} games accepted, {line.repeated:,} repeated{rejected}, "
            f"{left:,} wait{where} for the next start"
        )

    # ------------------------------------------------------------------ work from the server

    def _take_model(self) -> None:
        model = self._work.take_model()
        if model is not None:
            self._actors.play_with(model)
            self._line.model = model.model
            logger.info("plays with %s", model.model)

    def _play_match(self) -> None:
        """Begin a rating match that the server wants, or end one that is over."""
        if self._match is None:
            if wanted := self._work.take_match():
                self._match = RatingMatch(wanted, choose_device(self._settings))
        elif self._match.has_ended:
            report, task = self._match.report(), self._match.wanted.task
            if report is None:
                logger.error("a rating match ended without a result")
            else:
                self._line.match_games += task.num_games
            self.abandon_match()
            self._work.end_match(report)

    def abandon_match(self) -> None:
        """End the match that is played, if there is one: the server will hand out another."""
        if self._match is not None:
            with self._match:
                self._match = None

    # ------------------------------------------------------------------ play

    def _play(self, seconds: float) -> None:
        """Let the actors play for some time, keep what they finish, and send batches."""
        if not self._actors.model or self._is_full:
            self._sleep(seconds)
        elif self._is_behind(_MAX_SECONDS_TO_SEND):
            self._sleep(_PAUSE_SECONDS)
        else:
            self._take_games(seconds)
        self._make_batches()
        self._send_batches()

    def _take_games(self, seconds: float) -> None:
        """Keep the games that the actors have finished; wait for them at most so long. Until then, actors wait."""
        if episodes := self._actors.poll(seconds):
            self._spool.add(episodes, self._actors.model)
            self._line.games += len(episodes)

    def _is_behind(self, seconds: float) -> bool:
        """Return whether more games wait than a server that answers takes in within so long."""
        if self._num_left <= _BATCHES_ALLOWED * self._settings.games_per_upload:
            return False
        is_away = self._sender.waits_for and self._pace.seconds_since_answer > _MAX_SECONDS_TO_SEND
        return not is_away and self._pace.seconds_for(self._num_left) > seconds

    @property
    def _is_full(self) -> bool:
        return self._spool.size_bytes > self._settings.max_waiting_mib * 2**20

    @property
    def _why_full(self) -> str:
        if self._spool.refused_bytes > self._spool.size_bytes / 2:
            return "pauses: max_waiting_mib of games are in refused/: look at the log, remove them, and start again"
        return "pauses: max_waiting_mib of games wait for the server"

    def _make_batches(self, is_last: bool = False) -> None:
        # The files of a batch are compressed together, a little better than each of them.
        max_games, max_bytes = self._limits
        self._spool.make_batches(self._settings.games_per_upload, max_games, max_bytes, is_last)

    def _send_batches(self) -> None:
        for batch in self._spool.batches:
            self._sender.send(batch)
        answered = self._sender.take_sent()
        num_sent = sum(sent.batch.num_games for sent in answered)
        for sent in answered:
            if sent.answer is None:
                logger.warning(
                    "%s; a batch of %d games is in %s now",
                    sent.problem.rstrip("."),
                    sent.batch.num_games,
                    Path(self._settings.folder) / "refused",
                )
                self._spool.refuse(sent.batch)
                self._line.rejected += sent.batch.num_games
                continue
            self._spool.remove(sent.batch)
            answer = sent.answer
            self._line.accepted += answer.accepted
            self._line.repeated += answer.repeated
            self._line.rejected += answer.rejected
            for reason in answer.reasons[:_MAX_REASONS]:
                logger.warning("rejected: %s", printable(reason[:_MAX_REASON]))
        self._pace.note(num_sent, is_sending=bool(self._spool.batches))
        self._show()

    def _show(self) -> None:
        notes = {
            "finishing (Ctrl-C again leaves at once)": self._is_finishing,
            "compiling for the first time": self._actors.is_compiling,
            "plays a rating match, too": self._match is not None,
            self._why_full: self._is_full,
            "pauses: sending is slower": not self._is_full
            and self._is_behind(_MAX_SECONDS_TO_SEND),
        }
        self._line.note = "  ".join(note for note, is_so in notes.items() if is_so)
        self._line.waiting = self._num_left
        self._line.waits_for = self._sender.waits_for or self._work.waits_for
        self._line.show()

    def _finish(self) -> None:
        """Finish what is nearly done: games that end within seconds, and sending."""
        can_send_more = not self._is_behind(_LAST_SENDING_SECONDS)
        logger.info(
            "stopping after %s: %s",
            self._stop.reason,
            "finishing what is nearly done"
            if can_send_more
            else f"sending what waits, for at most {_LAST_SENDING_SECONDS:.0f} s",
        )
        self._is_finishing = True
        self.abandon_match()
        if self._actors.model:
            self._finish_games(can_send_more)
        self._actors.stop()
        until = time.monotonic() + _LAST_SENDING_SECONDS
        self._send_last_batches()
        while self._num_left and time.monotonic() < until:
            time.sleep(0.1)
            self._send_last_batches()
        self._is_finishing = False
        self._show()

    def _finish_games(self, can_send_more: bool) -> None:
        """Keep what the actors have finished. can_send_more: also what they finish within seconds, but not more games
        than they had begun: with short ones, they begin and finish others.
        """
        most = self._line.games + self._actors.num_games
        until = time.monotonic() + _LAST_GAMES_SECONDS
        self._take_games(_PAUSE_SECONDS)
        while can_send_more and self._line.games < most and time.monotonic() < until:
            self._play(_SLICE_SECONDS)

    def _send_last_batches(self) -> None:
        # A few at a time: making all of them can take minutes.
        self._make_batches(is_last=True)
        self._send_batches()

    @property
    def _num_left(self) -> int:
        in_batches = sum(batch.num_games for batch in self._spool.batches)
        return self._spool.num_finished + in_batches

    def _sleep(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._stop.is_set and time.monotonic() < until:
            time.sleep(0.1)
            self._show()


def wait_for_run(server: Server, stop: StopSignal, line: StatusLine) -> RunInformation:
    """Return what the server collects, once it has a model. Raises UserError if it cannot be played here."""

    def tell(problem: str, seconds: float) -> None:
        logger.warning("%s; the next try is in %.0f s", problem, seconds)
        line.waits_for = problem

    def sleep(seconds: float) -> None:
        until = time.monotonic() + seconds
        while not stop.is_set and time.monotonic() < until:
            line.show()
            time.sleep(0.1)

    information = patiently(server.run, on_wait=tell, sleep=sleep, give_up=lambda: stop.is_set)
    line.waits_for = ""
    game = check_run(server.url, information)
    run = printable(information.run[:_MAX_NAME])
    logger.info("%s collects games of %s for the run %s", server.url, game.name, run)
    return information


def check_run(url: str, information: RunInformation) -> Game:
    """Return the game that a server collects. Raises UserError if it cannot be played here, or has other rules."""
    config = contributed_config(information.config)
    game = load_algorithm(settings_from_dict(config)).game
    assert isinstance(game, Game)
    require(
        rules_hash(game) == information.rules,
        f"{url} plays {game.name} by other rules than ddpzero {__version__}: install the version that it has, "
        f"{printable(information.ddpzero[:40])}.",
    )
    return game


def _set_up_log(folder: Path, line: StatusLine) -> None:
    logging.basicConfig(
        level=logging.INFO, handlers=[line.handler(), LogFileHandler(folder / LOG_FILE)]
    )
    for name in ("httpx2", "httpcore2"):
        logging.getLogger(name).setLevel(logging.WARNING)
    if not sys.stderr.isatty():
        line.interval_seconds = 30.0
