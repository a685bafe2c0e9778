"""Judges players by positions whose perfect play is known: `ddpzero judge FILE RUN --simulations 0,64`.

The files and the games that they are of: solved_positions.py.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from ddpzero.arena.agents import (
    game_of_players,
    is_agent,
    parse_player,
    require_agent_that_searches,
)
from ddpzero.arena.players import PlayerError, checked_actions, errors_of_player
from ddpzero.arena.statistics import share_interval
from ddpzero.games.core.players import Player
from ddpzero.judges.packaged import find_positions
from ddpzero.judges.solved_positions import ILLEGAL, SolvedPositions, read_solved_positions
from ddpzero.system.measurements import Measurement, game_settings, print_measurements


@dataclass(frozen=True)
class JudgeReport:
    """How well one player chose in N solved positions.

    num_simulations: an agent's budget per position; None if the player's name determines it.
    kept, best: `[N]` bool: the chosen action keeps the outcome; it has the highest score of all.
    matters: `[N]` bool: not every legal action keeps the outcome.
    """

    player: str
    num_simulations: int | None
    kept: np.ndarray
    best: np.ndarray
    matters: np.ndarray
    seconds: float

    @property
    def keeps_outcome(self) -> float:
        return float(self.kept.mean())


def run_judge(
    file: str | Path,
    players: Sequence[str],
    *,
    simulations: Sequence[int] | None = None,
    seed: int | None = None,
    as_json: bool = False,
) -> list[JudgeReport]:
    """Judge players and print one row each, or one JSON line per measurement.

    file: of solved positions, or the name of one of the package (packaged.py).
    players: see arena.agents.ALLOWED_PLAYERS. An agent must have been trained on the game and board of the file.
    simulations: an agent is judged once with each of them, 0 being its bare network; None: once, as it was configured.
    seed: of players that use chance, None for 0. Prints a warning if no player does.
    """
    path = find_positions(str(file))
    require_agent_that_searches(players, None, simulations)
    game = game_of_players(players) if any(map(is_agent, players)) else None
    solved = read_solved_positions(path, game)
    reports = []
    uses_chance = False
    for text in players:
        for num_simulations in simulations if simulations and is_agent(text) else (None,):
            player = parse_player(text, solved.game, num_simulations)
            uses_chance |= player.uses_chance
            with Console(stderr=True).status(
                f"{player.name} chooses in {len(solved.scores)} positions"
            ):
                known = getattr(player, "num_simulations", num_simulations)
                reports.append(judge(solved, player, known, seed or 0))
    if seed is not None and not uses_chance:
        print(f"--seed {seed} has no effect: these players use no chance.", file=sys.stderr)
    if as_json:
        measurements = [
            measurement
            for report in reports
            for measurement in _measurements(report, solved, seed or 0)
        ]
        print_measurements(measurements, as_json)
    else:
        _print_table(reports, solved, Console())
    return reports


def judge(
    solved: SolvedPositions, player: Player, num_simulations: int | None = None, seed: int = 0
) -> JudgeReport:
    """Ask the player for an action in every position, all at once."""
    started = time.perf_counter()
    with errors_of_player(player.name):
        chosen = player.choose(solved.positions, np.random.default_rng(seed))
    num_positions, num_actions = solved.scores.shape
    actions = checked_actions(player.name, chosen, (num_positions,), num_actions)
    seconds = time.perf_counter() - started
    rows = np.arange(len(actions))
    if (solved.scores[rows, actions] == ILLEGAL).any():
        raise PlayerError(f"player {player.name} broke the rules: it chose an illegal action.")
    return JudgeReport(
        player=player.name,
        num_simulations=num_simulations,
        kept=solved.keeps[rows, actions],
        best=solved.is_best[rows, actions],
        matters=solved.matters,
        seconds=seconds,
    )


def _print_table(reports: list[JudgeReport], solved: SolvedPositions, console: Console) -> None:
    matters = solved.matters
    # Fits into 80 columns with the name of a model.
    table = Table(
        title=f"{solved.file.name}: how often the chosen action keeps the outcome",
        title_justify="left",
        caption="all: of all positions; matter: of those in which not every legal action keeps the outcome\n"
        f"best: {solved.best_means}\n"
        "±: half the 95 % interval",
        caption_justify="left",
    )
    table.add_column("player", overflow="fold")
    table.add_column("sims", justify="right")
    table.add_column(f"all {len(matters)}", justify="right")
    table.add_column(f"{matters.sum()} matter", justify="right")
    table.add_column("best", justify="right")
    for report in reports:
        table.add_row(
            report.player,
            "" if report.num_simulations is None else str(report.num_simulations),
            _share(report.kept),
            _share(report.kept[matters]),
            f"{report.best.mean():.1%}",
        )
    table.add_section()
    random_share = solved.random_share
    table.add_row(
        "any legal action",
        "",
        f"{random_share.mean():.1%}",
        f"{random_share[matters].mean():.1%}" if matters.any() else "",
        f"{solved.random_best_share.mean():.1%}",
        style="dim",
    )
    if solved.uct200_share is not None:
        table.add_row(
            "rollouts, by the file",
            "200",
            f"{solved.uct200_share.mean():.1%}",
            f"{solved.uct200_share[matters].mean():.1%}" if matters.any() else "",
            style="dim",
        )
    console.print(table)


def _share(hits: np.ndarray) -> str:
    """Format a share with half the width of its 95 % interval."""
    low, high = share_interval(int(hits.sum()), len(hits))
    return f"{hits.mean():.1%} ±{(high - low) / 2:.1%}" if len(hits) else ""


def _measurements(report: JudgeReport, solved: SolvedPositions, seed: int) -> list[Measurement]:
    settings = {
        "file": solved.file.name,
        "player": report.player,
        "num_simulations": report.num_simulations,
        "seed": seed,
        "seconds": round(report.seconds, 2),
    } | game_settings(solved.game.parameters)
    measurements = []
    for name, hits in (
        ("keeps_outcome", report.kept),
        ("keeps_outcome_where_it_matters", report.kept[report.matters]),
        ("plays_best", report.best),
    ):
        if not len(hits):
            continue
        low, high = share_interval(int(hits.sum()), len(hits))
        interval = {"low": low, "high": high, "num_positions": len(hits)}
        measurements.append(
            Measurement("judge", solved.game.name, name, hits.mean(), "", interval | settings)
        )
    return measurements
