"""Runs `ddpzero judge FILE PLAYER... --simulations 0,64`: compares players with perfect play."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.table import Table

from ddpzero.arena.agents import (
    game_of_players,
    is_agent,
    parse_player,
    pinned_player,
    require_agent_that_searches,
)
from ddpzero.arena.statistics import share_interval
from ddpzero.judges.packaged import find_positions
from ddpzero.judges.perfect_play import JudgeReport, judge
from ddpzero.judges.solved_positions import SolvedPositions, read_solved_positions
from ddpzero.system.measurements import Measurement, game_settings, print_measurements
from ddpzero.system.terminal import plain_console, shown_steps


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
    # Each number of simulations is measured with the same model.
    players = [pinned_player(text) for text in players]
    game = game_of_players(players) if any(map(is_agent, players)) else None
    solved = read_solved_positions(path, game)
    reports = []
    uses_chance = False
    asked = [
        (text, num_simulations)
        for text in players
        for num_simulations in (simulations if simulations and is_agent(text) else (None,))
    ]
    with shown_steps() as on_step:
        for text, num_simulations in asked:
            player = parse_player(text, solved.game, num_simulations)
            uses_chance |= player.uses_chance
            known = getattr(player, "num_simulations", num_simulations)
            how = "" if known is None else f" with {known} simulations"
            on_step(f"{player.name} chooses in {len(solved.scores)} positions{how}")
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
        _print_table(reports, solved)
    return reports


def _print_table(reports: list[JudgeReport], solved: SolvedPositions) -> None:
    matters = solved.matters
    # Fits into 80 columns with the name of a model.
    table = Table(
        title=f"{solved.file.stem}: how often the chosen action keeps the outcome",
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
            share_text(report.kept),
            share_text(report.kept[matters]),
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
    plain_console().print(table)


def share_text(hits: np.ndarray) -> str:
    """Return a share with half the width of its 95 % interval; "" without trials."""
    if not len(hits):
        return ""
    low, high = share_interval(int(hits.sum()), len(hits))
    return f"{hits.mean():.1%} ±{(high - low) / 2:.1%}"


def _measurements(report: JudgeReport, solved: SolvedPositions, seed: int) -> list[Measurement]:
    settings = {
        "file": solved.file.stem,
        "player": report.player,
        "num_simulations": report.num_simulations,
        "seed": seed,
        "seconds": round(report.seconds, 2),
    } | game_settings(solved.game.parameters)
    measurements = []
    for name, hits in report.figures.items():
        low, high = share_interval(int(hits.sum()), len(hits))
        interval = {"low": low, "high": high, "num_positions": len(hits)}
        measurements.append(
            Measurement("judge", solved.game.name, name, hits.mean(), "", interval | settings)
        )
    return measurements
