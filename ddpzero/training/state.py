"""The progress of a run: RunState owns its counters, its clock and its limits; all other code only reads them.

Each rank has one RunState. Methods that say "all ranks together" are collectives; all others read or count locally.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from ddpzero.replay import Episode
from ddpzero.run.ranks import Ranks
from ddpzero.settings import LearnerSettings
from ddpzero.system.signals import StopSignal
from ddpzero.training.counters import Counters
from ddpzero.training.limits import reached_amount, reached_limit, share_left, time_left, up_to


class RunState:
    """Counters, clock and limits of one run.

    counters: equal on all ranks; they include all samples and episodes up to the last vote.
    new_samples, new_episodes: inserted on this rank since the last vote.
    seconds_left: time to the end of the run, estimated by rank 0 in the last `share_time_left`; None if unknown.
    """

    def __init__(self, learner: LearnerSettings, ranks: Ranks, stop: StopSignal) -> None:
        self.ranks = ranks
        self.counters = Counters()
        self.new_samples = 0
        self.new_episodes = 0
        self.seconds_left: float | None = None
        self._learner = learner
        self._stop = stop
        self._fraction = 0.0
        self._clock_started_at: float | None = None

    # ---------------------------------------------------------------- reading

    @property
    def epoch(self) -> int:
        """The number of finished epochs."""
        return self.counters.learner_step // self._learner.epoch_steps

    @property
    def plays_rounds(self) -> bool:
        """Whether the schedule is "rounds": ranks alternate between playing and training."""
        return self._learner.schedule == "rounds"

    @property
    def is_at_epoch_boundary(self) -> bool:
        """Whether the last update ended an epoch."""
        return self.counters.learner_step % self._learner.epoch_steps == 0

    @property
    def updates_left_in_epoch(self) -> int:
        """The number of updates to the next epoch boundary, at least 1."""
        return self._learner.epoch_steps - self.counters.learner_step % self._learner.epoch_steps

    @property
    def is_stopped_by_signal(self) -> bool:
        """Whether a signal ends the run, rather than a limit."""
        return self._stop.is_set

    @property
    def num_episodes(self) -> int:
        """The number of episodes known to this rank: all up to the last vote, and its own since then."""
        return self.counters.episodes + self.new_episodes

    @property
    def num_samples(self) -> int:
        """The number of samples known to this rank: all up to the last vote, and its own since then."""
        return self.counters.samples + self.new_samples

    @property
    def minutes(self) -> float:
        """The training time up to now, by this rank's clock."""
        if self._clock_started_at is None:
            return self.counters.minutes
        return self.counters.minutes + (time.monotonic() - self._clock_started_at) / 60

    @property
    def fraction_done(self) -> float:
        """The share of the run that is done, 0..1, equal on all ranks."""
        max_epochs = self._learner.max_epochs
        if max_epochs is None:
            return self._fraction
        steps = max_epochs * self._learner.epoch_steps
        return max(self._fraction, self.counters.learner_step / steps)

    @property
    def has_generated_enough(self) -> bool:
        """Whether a limit of samples or episodes is reached; equal on all ranks, like the counters."""
        return bool(reached_amount(self._learner, self.counters))

    @property
    def wants_to_stop(self) -> bool:
        """Whether this rank knows a reason to stop: a signal, or a limit."""
        return self._stop.is_set or bool(self._limit_reached_here())

    def up_to_limit(self, episodes: list[Episode]) -> list[Episode]:
        """Return the first of `episodes`, up to this rank's share of what remains to max_samples and max_episodes.

        Without it a run could exceed its limits by far: fast games finish hundreds of episodes between two votes.
        """
        learner, counters, world_size = self._learner, self.counters, self.ranks.world_size
        samples_left = share_left(learner.max_samples, counters.samples, world_size)
        episodes_left = share_left(learner.max_episodes, counters.episodes, world_size)
        return up_to(episodes, samples_left - self.new_samples, episodes_left - self.new_episodes)

    # ---------------------------------------------------------------- counting

    def go_on_from(self, counters: Counters) -> None:
        """Continue from the counters of a checkpoint."""
        self.counters = counters

    def count_update(self) -> None:
        """Count an optimizer step of all ranks."""
        self.counters.learner_step += 1
        self.counters.samples_trained += self._learner.batch_size * self.ranks.world_size

    def start_clock(self) -> None:
        """Start the clock of the training time, unless it runs."""
        if self._clock_started_at is None:
            self._clock_started_at = time.monotonic()

    def count_episode(self, episode: Episode) -> None:
        """Count an episode that was inserted on this rank. The first one starts the clock."""
        self.start_clock()
        self.new_samples += episode.num_samples
        self.new_episodes += 1

    def count_publish(self) -> int:
        """Count a publish; return the version of the weights to publish."""
        self.counters.weights_version += 1
        return self.counters.weights_version

    def count_round(self, weights_version: int) -> None:
        """Schedule "rounds": record that this epoch's episodes are in the buffers."""
        self.counters.weights_version = weights_version
        self.counters.round_is_played = True

    def require_new_round(self) -> None:
        """Note that schedule "rounds" needs new episodes: an epoch has ended, or the samples of its round are gone."""
        self.counters.round_is_played = False

    # ---------------------------------------------------------------- all ranks together

    def vote(self, *flags: bool, allowed_updates: int = 0) -> tuple[list[bool], int]:
        """Return for each flag whether it is set on any rank, and how many updates every rank allows.

        All ranks together. The same message adds all samples and episodes inserted since the last vote to the counters.
        """
        new = [self.new_samples, self.new_episodes]
        flags_of_any, (samples, episodes), num_granted = self.ranks.vote(
            flags, new, allowed_updates
        )
        self.counters.samples += samples
        self.counters.episodes += episodes
        self.new_samples = self.new_episodes = 0
        return flags_of_any, num_granted

    def share_counters(self) -> None:
        """Update the counters, all ranks together; minutes are those of rank 0's clock."""
        self.vote()
        minutes = self.minutes
        if self._clock_started_at is not None:
            self._clock_started_at = time.monotonic()
        self.counters.minutes = self.ranks.broadcast(minutes)

    def share_time_left(self, rates: Mapping[str, float]) -> None:
        """Estimate the fraction done and the seconds left on rank 0 and send both to all ranks, all ranks together.

        rates: "updates", "samples_generated" and "episodes" per second, over all ranks.
        """
        counters, epoch_steps = self.counters, self._learner.epoch_steps
        fraction, seconds_left = time_left(
            self._learner,
            epoch=counters.learner_step / epoch_steps,
            minutes=counters.minutes,
            samples=counters.samples,
            episodes=counters.episodes,
            epochs_per_second=rates["updates"] / epoch_steps,
            samples_per_second=rates["samples_generated"],
            episodes_per_second=rates["episodes"],
        )
        self._fraction, self.seconds_left = self.ranks.broadcast((fraction or 0.0, seconds_left))

    def agree_on_reason_to_stop(self) -> str:
        """Return why the run is over, or "", all ranks together; the same on every rank."""
        signals = [signal for signal in self.ranks.gather(self._stop.reason) if signal]
        if signals:
            # The scheduler may have signaled only one node.
            self._stop.set(signals[0])
            return f"signal {signals[0]}; start the same command again to go on"
        reached = [limit for limit in self.ranks.gather(self._limit_reached_here()) if limit]
        return reached[0] if reached else ""

    def _limit_reached_here(self) -> str:
        # The clock of rank 0 decides for all ranks.
        minutes = self.minutes if self.ranks.is_first else 0.0
        return reached_limit(self._learner, self.counters, minutes)
