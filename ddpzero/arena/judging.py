"""Judges a model on solved positions, in the process of an arena worker (worker.py)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ddpzero.arena.agents import load_agent
from ddpzero.arena.judgements import Shares
from ddpzero.arena.schedule import JudgeTask
from ddpzero.judges.perfect_play import judge
from ddpzero.judges.solved_positions import SolvedPositions

# Enough positions to fill a batch; the worker shows a sign of life after each.
_BATCH_SIZE = 64


def judge_model(
    task: JudgeTask, path: Path, solved: SolvedPositions, on_batch: Callable[[], None]
) -> tuple[list[dict[str, Any]], int]:
    """Return the fields of the model's Shares, and the number of positions.

    path: of the model. on_batch: is called after each batch of positions. A player that does not search is judged once,
    as one with 0 simulations.
    """
    agent = load_agent(path).on(solved.game)
    shares = []
    for number in task.num_simulations if agent.can_search else (0,):
        player: Any = agent.make_player(number if agent.can_search else None)
        report = judge(solved, player, number, batch_size=_BATCH_SIZE, on_batch=on_batch)
        kept = report.kept[report.matters]
        kept_share = float(kept.mean()) if len(kept) else 1.0
        shares.append(asdict(Shares(number, kept_share, float(report.best.mean()))))
    return shares, len(solved.positions)
