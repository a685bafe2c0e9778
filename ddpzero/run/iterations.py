"""The iterations of a run with schedule "rounds". Each begins with the match of the model that the previous iteration
trained, if the run has a gate; then it plays a round and trains on it.

One row of metrics.jsonl describes one iteration, or its first part if the run ended meanwhile. The learner logs it as a
line; `ddpzero monitor RUN --iterations` prints all of them as a table. Light to import.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ddpzero.run.progress import duration_text
from ddpzero.system.guarded_files import is_count, is_finite_number, parse_json_line

# The duration of an iteration, or of a part of one: a row that has it describes that.
SECONDS = "learner/iteration_seconds"
# Shares of an iteration's time, by the phases of the learner's clock.
_PHASES = {
    "self-play": ("time/wait_for_episodes",),
    "training": ("time/sample", "time/update"),
    "arena": ("time/arena",),
}


@dataclass(frozen=True)
class Iteration:
    """One iteration. number: from 1. length: of an episode, in plies or steps. None: not measured.

    score: of the match with which the iteration began, of the newest model against the best one. Without a gate: of the
    newest rated model in all its games of the arena.
    shares: self-play, training and arena -> share of the iteration's time.
    """

    number: int
    seconds: float
    length: float | None
    policy_loss: float | None
    value_loss: float | None
    total_loss: float | None
    score: float | None
    shares: dict[str, float]


def load_iterations(metrics_file: Path, steps_per_round: int) -> list[Iteration]:
    """Return the complete iterations in a run's metrics.jsonl; see read_iterations. Empty if there is no such file."""
    try:
        with open(metrics_file, "rb") as file:
            rows = [row for line in file if (row := parse_json_line(line)) is not None]
    except FileNotFoundError:
        return []
    return read_iterations(rows, steps_per_round)


def read_iterations(rows: Iterable[Mapping[str, Any]], steps_per_round: int) -> list[Iteration]:
    """Return the complete iterations of a run in their order; of several rows that complete the same one, the last.

    The parts of an iteration in which the run was continued are joined.
    """
    found: dict[int, Iteration] = {}
    parts: list[Iteration] = []
    for row in rows:
        step, seconds = row.get("learner_step"), _number(row, SECONDS)
        if not is_count(step) or seconds is None:
            continue
        part = _part(row, -(-step // steps_per_round), seconds)
        parts = [*(earlier for earlier in parts if earlier.number == part.number), part]
        if step % steps_per_round == 0:
            found[part.number] = _joined(parts)
            parts = []
    return [found[number] for number in sorted(found)]


def _part(row: Mapping[str, Any], number: int, seconds: float) -> Iteration:
    return Iteration(
        number=number,
        seconds=seconds,
        length=_number(row, "self_play/episode_length"),
        policy_loss=_number(row, "losses/policy"),
        value_loss=_number(row, "losses/value"),
        total_loss=_number(row, "losses/total"),
        score=_number(row, "arena/match_score", "arena/score"),
        shares={
            name: sum(_number(row, tag) or 0.0 for tag in tags) for name, tags in _PHASES.items()
        },
    )


def _joined(parts: Sequence[Iteration]) -> Iteration:
    """Join the parts of an iteration. The first one has its match and its episodes, the last one the newest losses."""
    seconds = sum(part.seconds for part in parts)
    last = parts[-1]
    return replace(
        last,
        seconds=seconds,
        length=next((part.length for part in parts if part.length is not None), None),
        score=next((part.score for part in parts if part.score is not None), None),
        shares={
            name: sum(part.shares[name] * part.seconds for part in parts) / max(seconds, 1e-9)
            for name in last.shares
        },
    )


def iteration_line(iteration: Iteration) -> str:
    """Return the line of an iteration: "iteration 3: length 22.1, policy loss 1.92, ..."."""
    figures = {
        "length": (iteration.length, ".1f"),
        "policy loss": (iteration.policy_loss, ".3f"),
        "value loss": (iteration.value_loss, ".3f"),
        "loss": (None if iteration.policy_loss is not None else iteration.total_loss, ".3f"),
        "arena score": (iteration.score, ".1%"),
    }
    known = [
        f"{name} {value:{form}}" for name, (value, form) in figures.items() if value is not None
    ]
    shares = [f"{name} {share:.0%}" for name, share in iteration.shares.items() if share >= 0.005]
    time = duration_text(iteration.seconds) + (f" ({', '.join(shares)})" if shares else "")
    return f"iteration {iteration.number}: {', '.join([*known, time])}"


def _number(row: Mapping[str, Any], *tags: str) -> float | None:
    """Return the first of these metrics that the row has."""
    return next((float(row[tag]) for tag in tags if is_finite_number(row.get(tag))), None)
