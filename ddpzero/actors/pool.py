"""The actors of one rank, and its evaluator: starts them, receives what they send, replaces dead ones, ends them.

Owned by the rank's main thread. Polling sets the pace: the actors of a rank that does not poll wait.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import selectors
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from ddpzero.actors.connection import ActorConnection, Kind, Message
from ddpzero.actors.crash_report import CrashReport
from ddpzero.actors.evaluator import EvaluatorArguments, EvaluatorSpec, evaluator_main
from ddpzero.actors.exchange import Exchange
from ddpzero.actors.preparation import Preparation
from ddpzero.actors.process import ActorArguments, Schedule, actor_main
from ddpzero.actors.round import Round, stop_command
from ddpzero.actors.spec import ActorSpec
from ddpzero.actors.supervised import SupervisedActor
from ddpzero.actors.weights import WeightsChannel
from ddpzero.replay import Episode, SampleSpec, decode_episode
from ddpzero.system.seeds import derive_seed

logger = logging.getLogger(__name__)

# How often to look for processes that died without closing their connection, which a child of theirs can hold open.
_LOOK_INTERVAL_SECONDS = 1.0
_EVALUATOR_INDEX = -1


class ActorError(RuntimeError):
    """An actor failed more often than allowed; the message has the last crash report."""


class ActorPool:
    """Context manager: entering starts the actors, leaving kills them.

    num_actors: 0 for a pool that plays nothing.
    seed: of the actors' first games; each process gets its own, derived from it, the rank, the actor_index and the
        number of the start. A resumed run gives another seed, or its actors play its first games again.
    schedule: "concurrent": actors play as soon as weights are published. "rounds": they play when told.
    max_restarts: of one actor, before `poll` raises ActorError; an actor that lived for ten minutes starts afresh.
    hang_seconds: an actor from which nothing was heard for so long, though it should play, counts as dead. The
        evaluator, once it has started, gets half of it, for actors that wait for it are silent, too; the time in which
        it is replaced does not count.
    log_dir: for `rank<r>.actor<i>.log`, with all that an actor says on standard error; None for no such files.
        A preparation writes to `rank<r>.log`.
    evaluator: of a process that evaluates what all actors ask; None: each actor evaluates by itself.
    """

    def __init__(
        self,
        spec: ActorSpec,
        weights: WeightsChannel,
        *,
        num_actors: int,
        rank: int,
        seed: int,
        sample_spec: SampleSpec,
        schedule: Schedule = "concurrent",
        max_restarts: int = 5,
        hang_seconds: float = 300.0,
        log_dir: Path | None = None,
        evaluator: EvaluatorSpec | None = None,
    ) -> None:
        if num_actors < 0:
            raise ValueError(f"actors.num_actors={num_actors} must not be negative.")
        self.num_actors = num_actors
        self.num_restarts = 0
        self._has_bad_weights = False
        self._spec = spec
        self._weights = weights
        self._rank = rank
        self._seed = seed
        self._sample_spec = sample_spec
        self._schedule = schedule
        self._max_restarts = max_restarts
        self._hang_seconds = hang_seconds
        self._log_dir = log_dir
        self._actors = [
            SupervisedActor(index, actor_main, self._arguments_of) for index in range(num_actors)
        ]
        self._evaluator_spec = evaluator
        self._exchange: Exchange | None = None
        self._evaluator: SupervisedActor | None = None
        if evaluator is not None and num_actors > 0:
            self._exchange = Exchange(num_actors, evaluator.lanes)
            self._evaluator = SupervisedActor(
                _EVALUATOR_INDEX, evaluator_main, self._arguments_of_evaluator
            )
        self._preparation: Preparation | None = None
        self._selector = selectors.DefaultSelector()
        self._episodes: list[Episode] = []
        self._metrics: dict[str, float] = {}
        self._num_rounds = 0
        self._round: Round | None = None
        self._watched_at = self._looked_at = time.monotonic()
        # Whether something came at the last poll: more of it may be on its way.
        self.has_heard = False
        self._is_closed = False

    def __enter__(self) -> ActorPool:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --------------------------------------------------------- what a rank calls

    @property
    def _processes(self) -> list[SupervisedActor]:
        """The actors, and the evaluator if there is one."""
        return self._actors if self._evaluator is None else [*self._actors, self._evaluator]

    @property
    def evaluator_pid(self) -> int | None:
        """Process id of the evaluator that runs now."""
        return None if self._evaluator is None else self._evaluator.pid

    @property
    def is_preparing(self) -> bool:
        """Whether the spec's preparation still runs; actors start after it."""
        return self._preparation is not None

    @property
    def is_compiling(self) -> bool:
        """Whether the preparation is compiling."""
        return self._preparation is not None and self._preparation.is_compiling

    @property
    def pids(self) -> list[int]:
        """Process ids of the actors that run now, by actor_index."""
        return [actor.pid for actor in self._actors if actor.pid is not None]

    def take_bad_weights(self) -> bool:
        """Return whether an actor died since the last call because it could not play with the weights, and forget it.

        The rank should then check the weights; see UnusableWeightsError.
        """
        has_bad_weights, self._has_bad_weights = self._has_bad_weights, False
        return has_bad_weights

    def start(self) -> None:
        """Start all actors, after the spec's preparation; returns before they are ready."""
        # If the program ends without leaving this context, Python would wait for the actors forever.
        atexit.register(self.close)
        if self._spec.preparation is not None and self._actors:
            log_file = self._log_dir and self._log_dir / f"rank{self._rank}.log"
            self._preparation = Preparation(self._spec, log_file)
            self._selector.register(self._preparation.sentinel, selectors.EVENT_READ)
        self._start_due_actors()

    def poll(self, timeout_seconds: float = 0.0) -> list[Episode]:
        """Schedule "concurrent": return the episodes that have arrived, each info with its `actor_index`.

        Waits up to timeout_seconds for the first message of any kind, then takes what has arrived. Replaces dead and
        hanging actors after a back-off. Raises ActorError, with the actor's own traceback, when that does not help.
        """
        self._pump(timeout_seconds)
        episodes, self._episodes = self._episodes, []
        return episodes

    def take_metrics(self) -> dict[str, float]:
        """Return sums over actors since the last call: the plugin's, seconds_waiting_for_rank, ..._for_weights."""
        metrics, self._metrics = self._metrics, {}
        return metrics

    def start_round(
        self, *, episodes_per_actor: Sequence[int], round_seed: int, weights_version: int
    ) -> None:
        """Schedule "rounds": have each actor play its number of new episodes with exactly this version of the weights.

        Publish that version before or after this call, and no other one before the round is done.
        """
        assert self._schedule == "rounds" and len(episodes_per_actor) == self.num_actors
        assert self._round is None, "the last round was neither collected nor abandoned"
        self._num_rounds += 1
        self._round = Round(self._num_rounds, episodes_per_actor, round_seed, weights_version)
        for actor in self._actors:
            self._tell_round(actor)

    def wait_for_round(self, timeout_seconds: float) -> bool:
        """Poll until the round is done, or for timeout_seconds; returns whether it is done. Raises as `poll` does."""
        deadline = time.monotonic() + timeout_seconds
        self._pump(0.0)
        while not self.round_done and (seconds_left := deadline - time.monotonic()) > 0:
            self._pump(seconds_left)
        return self.round_done

    @property
    def round_done(self) -> bool:
        return self._round is not None and self._round.is_done

    def collect_round(self) -> list[Episode]:
        """Return all episodes of a round that is done, ordered by actor_index and then by when the actor finished them.

        They depend on the seed alone, not on timing or on actors that died and began their quota again.
        """
        assert self._round is not None and self._round.is_done
        episodes = self._round.episodes
        self._round = None
        return episodes

    def abandon_round(self) -> None:
        """Drop the current round. Actors stop at the end of their slice; what they still send is ignored."""
        assert self._round is not None
        for actor in self._actors:
            if actor.is_started and self._round.owes(actor.actor_index):
                actor.connection.send(stop_command())
        self._round = None

    def close(self) -> None:
        """Kill all actors and wait until they have ended."""
        if self._is_closed:
            return
        self._is_closed = True
        atexit.unregister(self.close)
        if self._preparation is not None:
            self._preparation.close()
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.close()
        self._selector.close()
        if self._exchange is not None:
            self._exchange.close()

    # ------------------------------------------------------------- taking things in

    def _pump(self, timeout_seconds: float) -> None:
        assert not self._is_closed
        self._start_due_actors()
        if self._preparation is None:
            starts = [each.start_at for each in self._processes if not each.is_started]
            seconds_to_start = min(starts, default=float("inf")) - time.monotonic()
            timeout_seconds = max(0.0, min(timeout_seconds, seconds_to_start))
        ready = [key.data for key, _ in self._selector.select(timeout_seconds)]
        heard = [actor for actor in ready if actor is not None]
        self.has_heard = bool(heard)
        for actor in heard:
            self._receive(actor)
        self._watch(heard)

    def _receive(self, actor: SupervisedActor) -> None:
        try:
            messages, is_open = actor.connection.receive()
            for message in messages:
                self._take(actor, message)
        except ValueError as error:
            self._replace(actor, f"it sent bytes that cannot be read: {error}")
            return
        if not is_open:
            self._replace(actor)

    def _take(self, actor: SupervisedActor, message: Message) -> None:
        actor.has_spoken = True
        if message.kind is Kind.METRICS:
            for name, value in json.loads(message.payload).items():
                self._metrics[name] = self._metrics.get(name, 0.0) + value
        elif self._schedule == "concurrent":
            self._episodes.append(self._decoded(actor, message))
        elif self._round is None or message.round_number != self._round.number:
            pass  # it belongs to a round that was abandoned
        elif message.kind is Kind.ROUND_DONE:
            self._round.finish(actor.actor_index)
        else:
            self._round.take(actor.actor_index, self._decoded(actor, message))

    def _decoded(self, actor: SupervisedActor, message: Message) -> Episode:
        episode = decode_episode(message.payload, self._sample_spec)
        episode.info["actor_index"] = actor.actor_index
        return episode

    # ------------------------------------------------------------------ supervision

    def _start_due_actors(self) -> None:
        # The kernel ends an actor together with the thread that started it.
        assert threading.current_thread() is threading.main_thread(), "poll in the main thread"
        if not self._is_prepared():
            return
        for process in self._processes:
            if process.is_started or time.monotonic() < process.start_at:
                continue
            process.start()
            self._selector.register(process.connection, selectors.EVENT_READ, process)
            self._tell_round(process)

    def _is_prepared(self) -> bool:
        if self._preparation is None:
            return True
        if self._preparation.is_running:
            return False
        self._selector.unregister(self._preparation.sentinel)
        exit_code = self._preparation.close()
        self._preparation = None
        if exit_code != 0:
            # An actor that fails in the same way reports it itself, with its traceback.
            logger.warning(
                "preparing for actors failed with exit code %d: its traceback is in this rank's log file",
                exit_code,
            )
        return True

    def _tell_round(self, actor: SupervisedActor) -> None:
        if actor is self._evaluator:
            return
        if actor.is_started and self._round is not None and self._round.owes(actor.actor_index):
            actor.connection.send(self._round.command(actor.actor_index))

    def _should_speak(self, process: SupervisedActor) -> bool:
        """Return whether something should be heard of a process every second."""
        if self._schedule == "concurrent" or process is self._evaluator:
            return True
        return self._round is not None and self._round.owes(process.actor_index)

    def _can_be_asked(self) -> bool:
        """Return whether actors need not wait for an evaluator that is being replaced, or that starts."""
        evaluator = self._evaluator
        return evaluator is None or (evaluator.is_started and evaluator.has_spoken)

    def _watch(self, heard: Sequence[SupervisedActor]) -> None:
        now = time.monotonic()
        # A rank that did not poll for a long time heard nothing: such a gap does not mean that actors hang.
        gap_seconds = min(now - self._watched_at, self._hang_seconds / 4)
        self._watched_at = now
        is_look_due = now - self._looked_at >= _LOOK_INTERVAL_SECONDS
        if is_look_due:
            self._looked_at = now
        can_be_asked = self._can_be_asked()
        for process in self._processes:
            if not process.is_started:
                continue
            waits = process is not self._evaluator and not can_be_asked
            if waits or process in heard or not self._should_speak(process):
                process.silent_seconds = 0.0
            else:
                process.silent_seconds += gap_seconds
            if process.silent_seconds > self._patience_with(process):
                process.ask_for_stack()
                share = "half of " if self._is_waited_for(process) else ""
                self._replace(
                    process,
                    f"it sent nothing for {share}actors.hang_seconds={self._hang_seconds:g}; where it hung:",
                )
            elif is_look_due and not process.is_alive:
                self._receive(process)
                if process.is_started:
                    self._replace(process)

    def _patience_with(self, process: SupervisedActor) -> float:
        return self._hang_seconds / 2 if self._is_waited_for(process) else self._hang_seconds

    def _is_waited_for(self, process: SupervisedActor) -> bool:
        """Return whether others are silent while this process is: the evaluator, once it has started."""
        return process is self._evaluator and process.has_spoken

    def _replace(self, actor: SupervisedActor, reason: str | None = None) -> None:
        self._selector.unregister(actor.connection)
        report = actor.reap(reason)
        if actor is self._evaluator:
            # They were silent because they waited for it.
            for waiting in self._actors:
                waiting.silent_seconds = 0.0
        elif self._round is not None:
            self._round.begin_again(actor.actor_index)
        if actor.is_beyond_help:
            raise ActorError(report)
        # Unlike an exception, a crash or a hang does not say what was running.
        if self._spec.suspect and (reason is not None or actor.has_crashed):
            first_line, _, rest = report.partition("\n")
            report = f"{first_line} {self._spec.suspect}\n{rest}"
        name = f"actor {actor.actor_index} of rank {self._rank}"
        if actor is self._evaluator:
            name = f"the evaluator of rank {self._rank}"
        self._has_bad_weights |= actor.died_of_weights
        # One more for these: the rank checks the weights first, and can say more than the actor.
        if actor.num_failures > self._max_restarts + actor.died_of_weights:
            limit = f"(actors.max_restarts={self._max_restarts})"
            if actor.num_failures == 1:
                raise ActorError(f"{name} failed once {limit}: {report}")
            raise ActorError(
                f"{name} failed {actor.num_failures} times {limit}; the last failure: {report}"
            )
        self.num_restarts += 1
        logger.warning(
            "%s failed (%d of %d restarts), the next starts in %.1f s: %s",
            name,
            actor.num_failures,
            self._max_restarts,
            actor.backoff_seconds,
            report,
        )

    def _arguments_of(
        self,
        actor_index: int,
        start_number: int,
        connection: ActorConnection,
        crash_report: CrashReport,
    ) -> ActorArguments:
        return ActorArguments(
            parent_pid=os.getpid(),
            spec=self._spec,
            rank=self._rank,
            actor_index=actor_index,
            seed=derive_seed(self._seed, self._rank, actor_index, start_number),
            schedule=self._schedule,
            sample_spec=self._sample_spec,
            connection=connection,
            weights=self._weights,
            exchange=self._exchange,
            crash_report=crash_report,
            log_file=self._log_dir and self._log_dir / f"rank{self._rank}.actor{actor_index}.log",
        )

    def _arguments_of_evaluator(
        self,
        actor_index: int,
        start_number: int,
        connection: ActorConnection,
        crash_report: CrashReport,
    ) -> EvaluatorArguments:
        assert self._evaluator_spec is not None and self._exchange is not None
        return EvaluatorArguments(
            parent_pid=os.getpid(),
            spec=self._evaluator_spec,
            rank=self._rank,
            connection=connection,
            exchange=self._exchange,
            weights=self._weights,
            crash_report=crash_report,
            log_file=self._log_dir and self._log_dir / f"rank{self._rank}.evaluator.log",
        )
