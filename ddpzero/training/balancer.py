"""Balances actors and learner within the user's bounds, so that neither waits for the other.

Both levers change how much actors work for each update of the learner: the effort of a sample (for AlphaZero the
simulations per move) and samples_per_insert. Actors that wait get more work; a learner that waits uses each sample more
often. All ranks have the same values, which follow from rows of metrics over all ranks. Called by the learner.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ddpzero.replay import SampleBalance
from ddpzero.settings import Settings
from ddpzero.training.parts import Parts

# Nothing changes while neither side waits for longer than this share of its time. The actors' share is larger: while
# they are slightly ahead, episodes are there whenever the learner needs them.
_MAX_LEARNER_SHARE = 0.02
_MAX_ACTORS_SHARE = 0.04
# Both sides wait if episodes arrive in bursts; only the difference shows which one is too fast.
_MIN_DIFFERENCE = 0.02
# A step corrects half of the difference: new weights, with the new effort, take a while to reach all searches.
_GAIN = 0.5
_MAX_STEP = 0.15
# The rates that show that both sides are at work.
_AT_WORK = ("updates", "episodes")
# The least time between two steps.
_INTERVAL_MINUTES = 5 / 60


@dataclass(frozen=True)
class BalanceBounds:
    """The bounds of the effort (multiples of the configured work, around 1) and of samples_per_insert.

    samples_per_insert: the value that is used while no lever is needed.
    """

    min_effort: float
    max_effort: float
    samples_per_insert: float
    min_samples_per_insert: float
    max_samples_per_insert: float

    @property
    def min_work(self) -> float:
        return self.min_effort * self.samples_per_insert / self.max_samples_per_insert

    @property
    def max_work(self) -> float:
        return self.max_effort * self.samples_per_insert / self.min_samples_per_insert

    @property
    def are_fixed(self) -> bool:
        """Whether the bounds allow no other work than the configured one."""
        return self.min_work == self.max_work

    def clamped(self, work: float) -> float:
        return min(max(work, self.min_work), self.max_work)

    def levers(self, work: float) -> tuple[float, float]:
        """Return the effort and samples_per_insert for `work`.

        work: of the actors for each update of the learner, as a multiple of the configured one, within the bounds. More
            work is first more effort, then fewer uses of a sample; less work is first more uses, then less effort.
        """
        if work >= 1:
            effort = min(work, self.max_effort)
            return effort, self.samples_per_insert * effort / work
        samples_per_insert = min(self.samples_per_insert / work, self.max_samples_per_insert)
        return work * samples_per_insert / self.samples_per_insert, samples_per_insert


class Balancer:
    """Adjusts the work from the shares of waiting. Equal on every rank, if every rank observes the same values.

    work: see BalanceBounds.levers. Checkpoints keep it.
    """

    def __init__(self, bounds: BalanceBounds, work: float = 1.0) -> None:
        self.bounds = bounds
        self.work = bounds.clamped(work)
        self._seen_at: float | None = None
        self._minutes = self._learner_minutes = self._actors_minutes = 0.0
        self._told: set[float] = set()

    @property
    def effort(self) -> float:
        return self.bounds.levers(self.work)[0]

    @property
    def samples_per_insert(self) -> float:
        return self.bounds.levers(self.work)[1]

    def observe_row(self, minutes: float, row: Mapping[str, float]) -> str:
        """Observe the shares of waiting in a row of metrics; the first such row has updates and episodes."""
        has_begun = all(row.get(f"speed/{name}_per_second", 0.0) > 0 for name in _AT_WORK)
        learner_share, actors_share = map(
            row.get, ("learner/share_waiting", "self_play/share_waiting")
        )
        if (
            learner_share is None
            or actors_share is None
            or (self._seen_at is None and not has_begun)
        ):
            return ""
        return self.observe(minutes, learner_share, actors_share)

    def observe(self, minutes: float, learner_share: float, actors_share: float) -> str:
        """Note how long either side has waited since the last call, and adjust the work if it is time to.

        minutes: training time so far. learner_share, actors_share: of their time. The first call only starts the clock:
        its shares may include the wait for the first episodes. Returns a sentence when a bound is reached, else "".
        """
        duration = 0.0 if self._seen_at is None else minutes - self._seen_at
        self._seen_at = minutes
        self._minutes += duration
        self._learner_minutes += duration * learner_share
        self._actors_minutes += duration * actors_share
        if self._minutes < _INTERVAL_MINUTES:
            return ""
        learner_share = self._learner_minutes / self._minutes
        actors_share = self._actors_minutes / self._minutes
        self._minutes = self._learner_minutes = self._actors_minutes = 0.0
        wanted = self.work * work_factor(learner_share, actors_share)
        self.work = self.bounds.clamped(wanted)
        return self._sentence_of_bound(wanted, learner_share, actors_share)

    def describe(self) -> str:
        """Return the state of the levers in a few words."""
        effort, samples_per_insert = self.bounds.levers(self.work)
        return f"effort {effort:.2f}, samples_per_insert {samples_per_insert:.2f}"

    def _sentence_of_bound(self, wanted: float, learner_share: float, actors_share: float) -> str:
        """Return a sentence if `wanted` is beyond a bound, once for either bound."""
        if wanted == self.work or self.work in self._told:
            return ""
        self._told.add(self.work)
        if wanted > self.work:
            return (
                f"actors wait {100 * actors_share:.0f} % of their time, and the bounds allow no more work "
                f"({self.describe()}): raise actors.max_effort or lower replay.min_samples_per_insert"
            )
        return (
            f"the learner waits {100 * learner_share:.0f} % of its time, and the bounds allow no less work "
            f"({self.describe()}): raise replay.max_samples_per_insert or lower actors.min_effort"
        )


def work_factor(learner_share: float, actors_share: float) -> float:
    """Return the factor by which the actors' work should change, from both sides' shares of waiting.

    Actors that wait for a share a of their time could do 1 / (1 - a) of their work; a learner that waits for a share l
    needs the episodes in 1 - l of the time.
    """
    difference = actors_share - learner_share
    share, limit = learner_share, _MAX_LEARNER_SHARE
    if difference > 0:
        share, limit = actors_share, _MAX_ACTORS_SHARE
    if share <= limit or abs(difference) < _MIN_DIFFERENCE:
        return 1.0
    ratio = max(1.0 - learner_share, 0.01) / max(1.0 - actors_share, 0.01)
    return min(max(ratio**_GAIN, 1.0 / (1.0 + _MAX_STEP)), 1.0 + _MAX_STEP)


def make_balancer(settings: Settings, work: float) -> Balancer | None:
    """Return the balancer of a run; None if its settings leave nothing to adjust. work: of its checkpoint."""
    actors, replay = settings.actors, settings.replay
    least, most = replay.samples_per_insert_bounds
    bounds = BalanceBounds(
        actors.min_effort, actors.max_effort, replay.samples_per_insert, least, most
    )
    # In rounds, a rank waits for its actors in any case, and they for it.
    plays_rounds, plays = settings.learner.schedule == "rounds", settings.data.self_play_share > 0
    if bounds.are_fixed or plays_rounds or not plays:
        return None
    return Balancer(bounds, work)


def balance_of_samples(parts: Parts, balancer: Balancer | None) -> SampleBalance:
    """Return the balance of a rank's samples at its start; with a balancer, a resumed run starts in exact balance."""
    buffer = parts.buffer
    if balancer is None or buffer.num_sampled == 0:
        return parts.balance
    return parts.balance.balanced_at(
        balancer.samples_per_insert, buffer.num_trainable, buffer.num_sampled
    )
