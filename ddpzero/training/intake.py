"""Where the episodes of a rank come from, how many it may take in now, and where they go.

actors, contributors --> poll() --> learner --> insert() --> episode store, replay buffer
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ddpzero.actors import ActorPool
from ddpzero.replay import Episode, ReplayBuffer, SampleBalance, is_held_out
from ddpzero.run.episode_store import EpisodeStore
from ddpzero.run.ranks import Ranks
from ddpzero.training.counters import Counters, count_files

if TYPE_CHECKING:
    from ddpzero.training.collected_games import CollectedGames


# More updates than a run makes.
UNLIMITED = 2**62
# Between two looks for episodes beside updates, if nothing came at the last one: a look takes 1/20 of an update of the
# smallest networks.
_LOOK_SECONDS = 0.02


@dataclass
class Intake:
    """The episodes of one rank.

    pool: its actors. collected: games of contributors; None without a collection server. collected_share: their
    samples are at most this share of all that are inserted from now on.
    balance: of samples in and samples used; the ratio may be adjusted during the run.
    holdout_fraction: of the episodes, kept apart to measure losses.
    """

    pool: ActorPool
    collected: CollectedGames | None
    collected_share: float
    store: EpisodeStore
    buffer: ReplayBuffer
    balance: SampleBalance
    holdout_fraction: float

    def __post_init__(self) -> None:
        self._num_restored = self.buffer.num_inserted
        self._looked_at = 0.0

    @property
    def is_open(self) -> bool:
        """Whether new episodes arrive; otherwise the run trains on stored games only."""
        return self.pool.num_actors > 0 or self.collected is not None

    def allowed_steps(self) -> int:
        """Return the number of updates that this rank may make before more samples must arrive."""
        if not self.is_open:
            return UNLIMITED
        return self.balance.allowed_steps(self.buffer.num_trainable, self.buffer.num_sampled)

    def allowed_inserts(self) -> int:
        """Return the number of samples that this rank may insert before the learner must make more updates."""
        if not self.is_open:
            return 0
        return self.balance.allowed_inserts(self.buffer.num_trainable, self.buffer.num_sampled)

    def set_samples_per_insert(self, ratio: float) -> None:
        """Use the samples that arrive from now on so often on average."""
        self.balance = self.balance.with_samples_per_insert(ratio, self.buffer.num_trainable)

    @property
    def is_look_due(self) -> bool:
        """Whether to poll between two updates: soon after the last time, and at once while an actor is sending, for a
        connection holds only a part of a long episode.
        """
        return self.pool.has_heard or time.monotonic() - self._looked_at >= _LOOK_SECONDS

    def poll(self, seconds: float, newest_version: int) -> list[Episode]:
        """Return finished episodes; wait for those of actors at most so long.

        newest_version: the highest weights_version of this run. Raises UserError if the collection server refuses.
        """
        self._looked_at = time.monotonic()
        return self.pool.poll(seconds) + self._poll_collected(newest_version)

    def _poll_collected(self, newest_version: int) -> list[Episode]:
        """Return games of contributors, if some have arrived and their share is not used up; never waits."""
        if self.collected is None:
            return []
        num_new = self.buffer.num_inserted - self._num_restored
        if self.collected.num_samples > self.collected_share * num_new:
            return []
        return self.collected.poll(newest_version)

    def insert(self, episodes: list[Episode]) -> None:
        """Store the episodes and insert them into this rank's replay buffer."""
        for episode in episodes:
            held_out = is_held_out(episode, self.holdout_fraction)
            origin = self.store.add(episode, held_out)
            self.buffer.add(episode.columns, held_out, origin)

    def count_files(self, ranks: Ranks, counters: Counters) -> None:
        """Note in the counters which files of a collection server were taken in, all ranks together."""
        if self.collected is not None:
            count_files(counters, ranks.gather(self.collected.take_new()))

    def metrics(self) -> dict[str, float]:
        """Return the metrics of contributors' games and of the store."""
        values: dict[str, float] = {
            "store/gib_written": self.store.size_bytes / 2**30,
            "store/episodes_dropped": self.store.num_dropped,
        }
        if self.collected is not None:
            values["collect/samples"] = self.collected.num_samples
            values["collect/files_left_out"] = self.collected.num_left_out
        return values
