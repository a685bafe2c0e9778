"""The main function of an actor process. The pool starts the process, and it ends when its rank ends.

    until the rank ends:  receive the newest weights, play a slice, send the finished episodes

It knows no game and no network: ActorSpec's factory makes both.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from ddpzero.actors.connection import ActorConnection, Kind, Message, RankGone
from ddpzero.actors.crash_report import CrashReport
from ddpzero.actors.exchange import Exchange
from ddpzero.actors.signals import ignore_group_signals
from ddpzero.actors.spec import Actor, ActorSpec, UnusableWeightsError
from ddpzero.actors.weights import NOTHING_PUBLISHED, WeightsChannel
from ddpzero.replay import Episode, SampleSpec, encode_episode
from ddpzero.system.allocator import keep_freed_memory
from ddpzero.system.errors import EXIT_CODE_OF_USER_ERROR, UserError
from ddpzero.system.log_file import LogFileHandler
from ddpzero.system.parent import follow_parent
from ddpzero.system.seeds import derive_seed

logger = logging.getLogger(__name__)

Schedule = Literal["concurrent", "rounds"]

EXIT_CODE_OF_UNUSABLE_WEIGHTS = 3

_METRICS_INTERVAL_SECONDS = 1.0
# How often to look for weights that have not been published yet.
_LOOK_INTERVAL_SECONDS = 0.02
# Finished episodes leave in parts of about this size, so that a large slice is not held twice.
_SEND_BYTES = 1 << 20


class ProcessArguments(Protocol):
    """What the supervision needs of the arguments of a process. log_file: None for no log of its own."""

    @property
    def parent_pid(self) -> int: ...
    @property
    def process_name(self) -> str: ...
    @property
    def num_threads(self) -> int: ...
    @property
    def crash_report(self) -> CrashReport: ...
    @property
    def log_file(self) -> Path | None: ...


@dataclass(frozen=True)
class ActorArguments:
    """What the rank passes to a new actor process.

    seed: differs with every start of the process. exchange: with the rank's evaluator; None: the actor evaluates.
    log_file: None for no log of its own.
    """

    parent_pid: int
    spec: ActorSpec
    rank: int
    actor_index: int
    seed: int
    schedule: Schedule
    sample_spec: SampleSpec
    connection: ActorConnection
    weights: WeightsChannel
    exchange: Exchange | None
    crash_report: CrashReport
    log_file: Path | None

    @property
    def process_name(self) -> str:
        return f"actor {self.actor_index} of rank {self.rank}"

    @property
    def num_threads(self) -> int:
        return self.spec.num_threads


def actor_main(arguments: ActorArguments) -> None:
    """Play until the rank ends."""
    run_supervised(arguments, lambda: _Body(arguments).run())


def run_supervised(arguments: ProcessArguments, run: Callable[[], None]) -> None:
    """Run the body of a process until its rank ends. An exception goes into the crash report and becomes exit code 1.

    A UserError, which no restart can cure, becomes its sentence and EXIT_CODE_OF_USER_ERROR; an UnusableWeightsError
    has its own exit code.
    """
    follow_parent(arguments.parent_pid)
    keep_freed_memory()
    arguments.crash_report.listen()
    ignore_group_signals()
    try:
        _set_up_log(arguments.log_file)
        logger.info("%s: pid %d", arguments.process_name, os.getpid())
        run()
    except RankGone:
        pass
    except UserError as error:
        arguments.crash_report.write(str(error))
        logger.exception("%s ends", arguments.process_name)
        sys.exit(EXIT_CODE_OF_USER_ERROR)
    except BaseException as error:
        gist = f"{type(error).__name__}: {error}".splitlines()[0]
        arguments.crash_report.write(f"{gist}\n{traceback.format_exc()}")
        logger.exception("%s ends", arguments.process_name)
        has_bad_weights = isinstance(error, UnusableWeightsError)
        sys.exit(EXIT_CODE_OF_UNUSABLE_WEIGHTS if has_bad_weights else 1)


class _Body:
    def __init__(self, arguments: ActorArguments) -> None:
        self._arguments = arguments
        self._connection = arguments.connection
        self._weights = arguments.weights
        self._weights_version = NOTHING_PUBLISHED
        self._waited_seconds = {"seconds_waiting_for_rank": 0.0, "seconds_waiting_for_weights": 0.0}
        self._metrics_sent_at = time.monotonic()
        self._actor: Actor = arguments.spec.make(
            arguments.rank, arguments.actor_index, arguments.seed, arguments.exchange
        )

    def run(self) -> None:
        if self._arguments.schedule == "rounds":
            self._play_rounds()
        else:
            self._play_for_ever()

    def _play_for_ever(self) -> None:
        self._wait_for_weights(NOTHING_PUBLISHED + 1)
        while True:
            self._maybe_receive_weights()
            self._send_episodes(self._actor.play(), round_number=0)
            self._maybe_send_metrics()

    def _play_rounds(self) -> None:
        command: Message | None = None
        while True:
            command = command or self._connection.receive(timeout_seconds=None)
            assert command is not None
            command = self._play_round(command.round_number, **json.loads(command.payload))

    def _play_round(
        self, round_number: int, num_episodes: int, round_seed: int, weights_version: int
    ) -> Message | None:
        """Play one round; returns early with the next command if the rank abandons this one."""
        if num_episodes == 0:
            return None
        if (next_command := self._wait_for_weights(weights_version)) is not None:
            return next_command
        if self._weights_version != weights_version:
            raise RuntimeError(
                f"round {round_number} is to be played with weights_version {weights_version}, but "
                f"{self._weights_version} is published already: publish only between rounds."
            )
        seed = derive_seed(round_seed, self._arguments.rank, self._arguments.actor_index)
        self._actor.start_round(num_episodes, seed)
        num_played = 0
        while not self._actor.round_done:
            episodes = self._actor.play()
            num_played += len(episodes)
            self._send_episodes(episodes, round_number)
            self._maybe_send_metrics()
            if (next_command := self._connection.receive(timeout_seconds=0)) is not None:
                return next_command
        if num_played != num_episodes:
            raise RuntimeError(
                f"{self._arguments.spec.factory}: the round is done after {num_played} episodes; asked for were "
                f"{num_episodes}."
            )
        self._send_metrics()
        self._connection.send([Message(Kind.ROUND_DONE, round_number)])
        return None

    def _wait_for_weights(self, at_least: int) -> Message | None:
        """Wait for this weights_version; returns early with the next command if the rank sends one."""
        started = time.monotonic()
        self._maybe_receive_weights()
        # Look for a command last: one that was sent before a publish must not be missed because of it.
        while (command := self._connection.receive(timeout_seconds=0)) is None:
            if self._weights_version >= at_least:
                break
            time.sleep(_LOOK_INTERVAL_SECONDS)
            self._maybe_send_metrics()
            self._maybe_receive_weights()
        self._waited_seconds["seconds_waiting_for_weights"] += time.monotonic() - started
        return command

    def _maybe_receive_weights(self) -> None:
        newest = self._weights.receive(newer_than=self._weights_version)
        if newest is not None:
            self._actor.receive(*newest)
            self._weights_version = newest[1]

    def _send_episodes(self, episodes: list[Episode], round_number: int) -> None:
        part: list[Message] = []
        size_bytes = 0
        for episode in episodes:
            payload = encode_episode(episode, self._arguments.sample_spec)
            part.append(Message(Kind.EPISODE, round_number, payload))
            size_bytes += len(payload)
            if size_bytes >= _SEND_BYTES:
                self._send(part)
                part, size_bytes = [], 0
        self._send(part)

    def _send(self, messages: list[Message]) -> None:
        """Send messages. This blocks while the rank takes in no episodes."""
        started = time.monotonic()
        self._connection.send(messages)
        self._waited_seconds["seconds_waiting_for_rank"] += time.monotonic() - started

    def _maybe_send_metrics(self) -> None:
        """Send them once a second: the pool takes them as a sign of life."""
        if time.monotonic() - self._metrics_sent_at >= _METRICS_INTERVAL_SECONDS:
            self._send_metrics()

    def _send_metrics(self) -> None:
        metrics: dict[str, Any] = {**self._actor.take_metrics(), **self._waited_seconds}
        payload = json.dumps({name: float(value) for name, value in metrics.items()}).encode()
        self._waited_seconds = dict.fromkeys(self._waited_seconds, 0.0)
        self._metrics_sent_at = time.monotonic()
        self._send([Message(Kind.METRICS, 0, payload)])


def _set_up_log(file: Path | None) -> None:
    if file is None:
        return
    # Nobody is told of a full disk here: rank 0 reports it for its own log.
    logging.basicConfig(handlers=[LogFileHandler(file)], level=logging.INFO)
    logging.captureWarnings(True)
