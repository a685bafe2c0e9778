"""The metrics of a run: shares of time, means, rates and memory; one row per logging interval.

Each rank has a PhaseClock and an IntervalMetrics. Called by the learner; only `IntervalMetrics.collect` waits for the
GPU. run/record.py stores the rows.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

import psutil
import torch

from ddpzero.algorithms.base import LOSS
from ddpzero.algorithms.loader import load_plugin
from ddpzero.run.ranks import Ranks, columns
from ddpzero.settings import Settings
from ddpzero.system.devices import memory_in_use
from ddpzero.system.metric_info import SHARE, MetricInfo, Metrics, rate, ratio, time_share
from ddpzero.training.device_sums import DeviceSums
from ddpzero.training.device_time import device_time_of
from ddpzero.training.stored_source import NO_VERSION

_GIB = float(1 << 30)
_OTHER = "other"
# The phases in which the learner waits for data.
WAIT_FOR_EPISODES, WAIT_FOR_RANKS = "wait for episodes", "wait for ranks"
WEIGHTS_LAG = "self_play/weights_lag"

# Metrics of the core, for any plugin; a plugin's METRICS come before these.
CORE_METRICS = {
    LOSS: MetricInfo("The loss that the plugin minimizes.", is_headline=True),
    "speed/episodes_per_second": rate("episodes", "Episodes that the learners took in."),
    "speed/samples_generated_per_second": rate(
        "samples_generated", "Samples that went into the replay buffers.", is_headline=True
    ),
    "speed/updates_per_second": rate("updates", "Optimizer steps.", is_headline=True),
    "speed/samples_trained_per_second": rate(
        "samples_trained", "Rows in the batches of all ranks."
    ),
    WEIGHTS_LAG: MetricInfo(
        "By how many publications the weights that played a sample are older than the newest ones.",
        "versions",
    ),
    "learner/rate": MetricInfo("Learning rate."),
    "learner/parameters": MetricInfo(
        "Numbers in the released weights: the size of the networks.", "", "last"
    ),
    "learner/share_waiting": MetricInfo(
        "Share of the learner's time spent in waiting for episodes, or for other ranks that do.",
        SHARE,
    ),
    "learner/busy": MetricInfo(
        "Share of the time in which the devices of the learners are at updates; if an evaluator shares the device, its "
        "turns during an update count, too.",
        SHARE,
    ),
    "self_play/share_waiting": time_share(
        "seconds_waiting_for_rank", "Share of the actors' time spent in waiting for the learner."
    ),
    "evaluator/busy": ratio(
        "evaluator_seconds",
        "evaluator_seconds_up",
        "Share of the time in which the evaluators of the ranks evaluate; without them, actors do it by themselves.",
    ),
    "evaluator/positions_per_batch": ratio(
        "evaluator_positions", "evaluator_batches", "Positions that they evaluate together.", ""
    ),
    "evaluator/positions_per_second": rate("evaluator_positions", "Positions that they evaluate."),
    "self_play/effort": MetricInfo(
        "Work for a sample in self-play, as a multiple of the configured work.", kind="last"
    ),
    "learner/samples_per_insert": MetricInfo(
        "Average number of times that a new sample is used.", kind="last"
    ),
    "learner/iteration_seconds": MetricInfo(
        "Duration of an iteration of schedule rounds.", "s", "last"
    ),
    "replay/fill": MetricInfo("Share of the replay buffer that holds samples.", SHARE, "last"),
    "replay/window": MetricInfo(
        "Samples of a rank, the newest ones, that batches are sampled from.", "samples", "last"
    ),
    "store/gib_written": MetricInfo(
        "Finished episodes that a rank has written to disk since it started.", "GiB", "last"
    ),
    "store/episodes_dropped": MetricInfo(
        "Episodes of a rank that were not stored, because the disk was too slow.",
        "episodes",
        "last",
    ),
    "collect/samples": MetricInfo(
        "Samples of contributors that a rank has taken in since it started.", "samples", "last"
    ),
    "collect/files_left_out": MetricInfo(
        "Files of games that contributors played faster than a rank took them in.", "files", "last"
    ),
    "memory/cpu_gib": MetricInfo("Memory of all ranks and their actors.", "GiB", "last"),
    "memory/gpu_gib": MetricInfo(
        "Memory in use on the fullest GPU; on Apple's, which shares the machine's, that of the learner alone.",
        "GiB",
        "last",
    ),
    "arena/elo": MetricInfo(
        "Elo of the newest rated model, relative to the first of arena.opponents.",
        "Elo",
        "last",
        is_headline=True,
    ),
    "arena/score": MetricInfo("Score of that model in all its games.", SHARE, "last"),
    "arena/match_score": MetricInfo(
        "Score of the last candidate in its match against the best model.",
        SHARE,
        "last",
        is_headline=True,
    ),
    "judge/outcome_kept_*_simulations": MetricInfo(
        "Share of the solved positions in judge.file in which the move of the newest judged model keeps the outcome, "
        "with * simulations (0: the network alone); only positions where not every move does.",
        SHARE,
        "last",
        is_headline=True,
    ),
    "judge/best_move_*_simulations": MetricInfo(
        "Share of these positions, all of them, in which no move is better than that model's, with * simulations.",
        SHARE,
        "last",
    ),
    "arena/share_of_machine": MetricInfo(
        "CPU time of the arena's workers as a share of that of all cores of the node.",
        SHARE,
        "last",
    ),
    "time/*": MetricInfo("Share of the learner's time spent in: *.", SHARE),
    "time_actors/waiting_for_weights": time_share(
        "seconds_waiting_for_weights", "Share of the actors' time spent in waiting for weights."
    ),
}


def all_metrics(plugin: str) -> dict[str, MetricInfo]:
    """Return the metrics that a plugin and the core declare. The plugin's come first, and win if both declare a tag."""
    metrics = load_plugin(plugin).metrics
    return {**metrics, **{tag: info for tag, info in CORE_METRICS.items() if tag not in metrics}}


def metrics_of_run(settings: Settings) -> dict[str, MetricInfo]:
    """Return all_metrics of a run. What its settings rule out is no key metric: its chart would stay empty."""
    ruled_out = {
        "arena/elo": settings.arena.num_workers == 0,
        "arena/match_score": settings.release.rule == "always",
        "judge/outcome_kept_*_simulations": settings.judge.file is None,
    }
    return {
        tag: replace(info, is_headline=info.is_headline and not ruled_out.get(tag, False))
        for tag, info in all_metrics(settings.algorithm).items()
    }


def weights_lag(batch: Mapping[str, torch.Tensor], newest_version: int) -> torch.Tensor:
    """Return by how many publications the samples of this run in a batch are old on average, without a sync."""
    versions = batch["weights_version"]
    is_own = versions != NO_VERSION
    # Indexing with a mask would wait for the device to count.
    lags = (newest_version - versions) * is_own
    return lags.sum() / is_own.sum().clamp_min(1)


class PhaseClock:
    """Measures the share of time that a loop spends in each of its phases.

        with clock("update"):
            ...

    Each moment counts for the innermost phase alone, or for "other": the shares of an interval sum to 1.
    """

    def __init__(self) -> None:
        self._open = [_OTHER]
        self._seconds: dict[str, float] = {}
        self._since = time.perf_counter()

    # Not a generator: after an update has emptied the processor's caches, one takes 20 us, and this takes 5.
    def __call__(self, phase: str) -> PhaseClock:
        """Count the time of the block for a phase."""
        self._settle()
        self._open.append(phase)
        return self

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None:
        self._settle()
        self._open.pop()

    def take_shares(self) -> dict[str, float]:
        """Return phase -> share of the time since the last call; all phases seen before are included, with 0."""
        self._settle()
        total = sum(self._seconds.values())
        shares = {phase: seconds / total for phase, seconds in self._seconds.items() if total > 0}
        self._seconds = dict.fromkeys(self._seconds, 0.0)
        return shares

    def _settle(self) -> None:
        """Add the time since the last change to the innermost open phase."""
        now = time.perf_counter()
        phase = self._open[-1]
        self._seconds[phase] = self._seconds.get(phase, 0.0) + now - self._since
        self._since = now


@dataclass(frozen=True)
class _Interval:
    """One rank's measurements between two rows.

    sums, num_added: the sum and the number of the values added for each tag. shares: of each phase in `seconds`.
    busy_seconds: of the learner's device.
    """

    seconds: float
    sums: dict[str, float]
    num_added: dict[str, int]
    counts: dict[str, float]
    shares: dict[str, float]
    busy_seconds: float

    @property
    def means(self) -> dict[str, float]:
        return {tag: total / self.num_added[tag] for tag, total in self.sums.items()}

    def followed_by(self, later: _Interval) -> _Interval:
        """Return this interval and `later` as one interval."""
        seconds = self.seconds + later.seconds
        shares = {
            phase: (
                self.shares.get(phase, 0.0) * self.seconds
                + later.shares.get(phase, 0.0) * later.seconds
            )
            / max(seconds, 1e-9)
            for phase in {**self.shares, **later.shares}
        }
        return _Interval(
            seconds,
            _added(self.sums, later.sums),
            {tag: int(number) for tag, number in _added(self.num_added, later.num_added).items()},
            _added(self.counts, later.counts),
            shares,
            self.busy_seconds + later.busy_seconds,
        )


class IntervalMetrics:
    """Collects one rank's metrics since the last row, and computes the row from the metrics of all ranks.

    num_actors: of this rank, for the shares of the actors' time. clock: measures the phases of the learner's loop.
    device_time: measures its device's time for updates.
    declared: the declarations by which metrics are computed from counts.
    """

    def __init__(self, ranks: Ranks, clock: PhaseClock, declared: Metrics = CORE_METRICS) -> None:
        self.num_actors = 0
        self.clock = clock
        self._ranks = ranks
        self._declared = declared
        self.device_time = device_time_of(ranks.device)
        self._process = psutil.Process()
        self._start = time.perf_counter()
        self._previous: _Interval | None = None
        self._sums: dict[str, float] = {}
        self._device_sums = DeviceSums()
        self._num_added: dict[str, int] = {}
        self._counts: dict[str, float] = {}
        self._last_values: dict[str, float] = {}

    def add(self, metrics: Mapping[str, torch.Tensor | float]) -> None:
        """Add one value for each tag; a row has their means. Tensors stay on their device, without a sync."""
        on_device: dict[str, torch.Tensor] = {}
        for tag, value in metrics.items():
            if isinstance(value, torch.Tensor):
                on_device[tag] = value
            else:
                self._sums[tag] = self._sums.get(tag, 0.0) + value
            self._num_added[tag] = self._num_added.get(tag, 0) + 1
        self._device_sums.add(on_device)

    def has_value(self, tag: str) -> bool:
        """Return whether a value was added for a tag since the last row."""
        return tag in self._num_added

    def count(self, **amounts: float) -> None:
        """Add to this rank's counts; a row has the metrics that are declared for them, or their rates."""
        for name, amount in amounts.items():
            self._counts[name] = self._counts.get(name, 0.0) + amount

    def set_last(self, values: Mapping[str, float]) -> None:
        """Set the current values of tags; a row has the last value of each, as a mean over ranks."""
        self._last_values.update({tag: float(value) for tag, value in values.items()})

    @property
    def seconds(self) -> float:
        """The duration of the current interval so far."""
        return time.perf_counter() - self._start

    @property
    def previous_seconds(self) -> float:
        """The duration of the previous interval; 0 if there was none."""
        return 0.0 if self._previous is None else self._previous.seconds

    def collect(
        self, summary: Mapping[str, float] | None = None, with_previous: bool = False
    ) -> dict[str, float]:
        """Return one row, tag -> value, equal on every rank, and start the next interval; all ranks together.

        summary: further metrics of this rank for the interval, averaged over ranks. with_previous: whether the row also
        covers the previous interval.

        From `count`: the metrics declared for counts, and speed/<count>_per_second for other counts. From the clock:
        time/<phase> and learner/share_waiting, from device_time: learner/busy; means over ranks. memory/cpu_gib: ranks
        and their actors, summed. memory/gpu_gib: in use on the fullest GPU.
        """
        interval = self._end_interval()
        if with_previous and self._previous is not None:
            interval = self._previous.followed_by(interval)
        self._previous = interval
        shares = {
            f"time/{phase.replace(' ', '_')}": share for phase, share in interval.shares.items()
        }
        waits = [interval.shares.get(phase) for phase in (WAIT_FOR_EPISODES, WAIT_FOR_RANKS)]
        if any(share is not None for share in waits):
            shares["learner/share_waiting"] = sum(share or 0.0 for share in waits)
        if self.device_time.is_used:
            # An update that is read now may have begun before.
            shares["learner/busy"] = min(interval.busy_seconds / max(interval.seconds, 1e-9), 1.0)
        rows = self._ranks.gather(
            {
                "means": {**interval.means, **(summary or {}), **self._last_values, **shares},
                "sums": interval.counts,
                "seconds": interval.seconds,
                "num_actors": self.num_actors,
                "cpu_gib": _memory_of_process_tree(self._process) / _GIB,
                "gpu_gib": (memory_in_use(self._ranks.device) or 0) / _GIB,
            }
        )
        means = columns([row["means"] for row in rows])
        sums = {name: sum(column) for name, column in columns([r["sums"] for r in rows]).items()}
        seconds = max(sum(row["seconds"] for row in rows) / len(rows), 1e-9)
        num_actors = sum(row["num_actors"] for row in rows)
        metrics = {tag: sum(column) / len(column) for tag, column in means.items()}
        metrics |= _of_counts(self._declared, sums, seconds, seconds * max(num_actors, 1))
        metrics["memory/cpu_gib"] = sum(row["cpu_gib"] for row in rows)
        if self._ranks.device.type != "cpu":
            metrics["memory/gpu_gib"] = max(row["gpu_gib"] for row in rows)
        return metrics

    def _end_interval(self) -> _Interval:
        """Return the measurements since the last row and reset them; waits for the device once."""
        now = time.perf_counter()
        interval = _Interval(
            now - self._start,
            _added(self._sums, self._device_sums.take()),
            self._num_added,
            self._counts,
            self.clock.take_shares(),
            self.device_time.take(),
        )
        self._start = now
        self._sums, self._num_added = {}, {}
        self._counts = dict.fromkeys(self._counts, 0.0)
        return interval


def _added(first: Mapping[str, float], second: Mapping[str, float]) -> dict[str, float]:
    return {key: first.get(key, 0) + second.get(key, 0) for key in {**first, **second}}


def _of_counts(
    declared: Metrics, sums: Mapping[str, float], seconds: float, actor_seconds: float
) -> dict[str, float]:
    """Return the metrics of counts from their sums over ranks. actor_seconds: of all actors together."""
    values: dict[str, float] = {}
    used: set[str] = set()
    for tag, info in declared.items():
        if not info.counts or not all(name in sums for name in info.counts):
            continue
        used.update(info.counts)
        amount = sums[info.counts[0]]
        whole = {"rate": seconds, "time_share": actor_seconds}.get(info.kind)
        if whole is None:
            whole = sums[info.counts[1]]
        if whole > 0:
            value = amount / whole
            # An actor counts a wait at its end; the wait may have begun in an earlier interval.
            values[tag] = min(value, 1.0) if info.kind == "time_share" else value
    rates = {name: sums[name] / seconds for name in sums if name not in used}
    return {**values, **{f"speed/{name}_per_second": value for name, value in rates.items()}}


def _memory_of_process_tree(process: psutil.Process) -> int:
    """Return the resident bytes of a rank and its actors; pages that actors share count once, for the rank."""
    total = process.memory_info().rss
    for child in process.children(recursive=True):
        try:
            memory = child.memory_info()
        # The process has just ended, or this process may not read it.
        except psutil.Error:
            continue
        # Only Linux tells the latter.
        total += memory.rss - getattr(memory, "shared", 0)
    return total
