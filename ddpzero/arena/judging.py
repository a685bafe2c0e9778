"""Judges agents on solved positions: for `ddpzero ablate`, and in the process of an arena worker (worker.py)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ddpzero.arena.agents import Agent, load_agent
from ddpzero.arena.judgements import Shares
from ddpzero.arena.schedule import JudgeTask
from ddpzero.games import Game
from ddpzero.judges.packaged import find_positions
from ddpzero.judges.perfect_play import judge
from ddpzero.judges.solved_positions import SolvedPositions, read_solved_positions

# Names of figures, and how JSON lines call them.
KEEPS = "keeps the outcome"
KEEPS_WHERE_IT_MATTERS = "keeps the outcome where it matters"
BEST = "exactly best"
FIGURES_IN_JSON = {
    KEEPS: "keeps_outcome",
    KEEPS_WHERE_IT_MATTERS: "keeps_outcome_where_it_matters",
    BEST: "plays_best",
}

# Enough positions to fill a batch.
_BATCH_SIZE = 64


def judge_model(
    task: JudgeTask,
    path: Path,
    solved: SolvedPositions,
    device: str,
    on_batch: Callable[[], None],
) -> tuple[list[dict[str, Any]], int]:
    """Return the fields of the model's Shares, and the number of positions.

    path: of the model. device: see Agent.make_player. on_batch: is called after each batch of positions. A player that
    does not search is judged once, as one with 0 simulations.
    """
    agent = load_agent(path).on(solved.game)
    shares = []
    for number in task.num_simulations if agent.can_search else (0,):
        player: Any = agent.make_player(number if agent.can_search else None, device)
        report = judge(solved, player, number, batch_size=_BATCH_SIZE, on_batch=on_batch)
        kept = report.kept[report.matters]
        kept_share = float(kept.mean()) if len(kept) else 1.0
        shares.append(asdict(Shares(number, kept_share, float(report.best.mean()))))
    return shares, len(solved.positions)


def solved_positions(file: str, game: Game) -> SolvedPositions:
    """Read the positions of a file. file: see find_positions. Raises UserError."""
    return read_solved_positions(find_positions(file), game)


def judge_agent(
    agent: Agent, solved: SolvedPositions, num_simulations: int | None, seed: int
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the name of each figure of an agent, and `[N]` bool, its hits; of figures that are equal, only the first.

    num_simulations: per position; None: as in the agent's run. seed: of an agent that plays randomly.
    """
    report = judge(solved, agent.make_player(num_simulations), num_simulations, seed)  # type: ignore[arg-type]
    yield KEEPS, report.kept
    if solved.matters.any() and not solved.matters.all():
        yield KEEPS_WHERE_IT_MATTERS, report.kept[solved.matters]
    if (solved.is_best != solved.keeps).any():
        yield BEST, report.best
