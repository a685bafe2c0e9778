"""Reports a match: its progress, a table and a sentence for people, measurements for programs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from ddpzero.arena.match import MatchResult
from ddpzero.system.measurements import Measurement
from ddpzero.system.terminal import plain_console


@contextmanager
def match_progress(
    num_games: int, max_plies: int
) -> Iterator[Callable[[int, np.ndarray, np.ndarray], None]]:
    """Show a live line on stderr if that is a terminal; yield the on_progress of match_blocks.play_here.

    The bar counts plies; a finished game counts as max_plies.
    """
    blocks: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    with _progress(num_games * max_plies, "") as update:

        def show(number: int, *state: np.ndarray) -> None:
            blocks[number] = state[0].copy(), state[1].copy()
            returns, num_plies = map(np.concatenate, zip(*blocks.values(), strict=True))
            is_over = ~np.isnan(returns)
            wins, losses = int((returns[is_over] > 0).sum()), int((returns[is_over] < 0).sum())
            num_over = int(is_over.sum())
            description = (
                f"ply {num_plies.max()}, {num_over} of {num_games} games over: {wins} won, "
                f"{num_over - wins - losses} drawn, {losses} lost"
            )
            update(int(np.where(is_over, max_plies, num_plies).sum()), description)

        yield show


@contextmanager
def team_match_progress(
    num_blocks: int, max_steps: int
) -> Iterator[Callable[[int, int, np.ndarray], None]]:
    """Do the same for a team game; the bar counts the steps of blocks, since the games of a block end together."""
    blocks: dict[int, tuple[int, np.ndarray]] = {}
    with _progress(num_blocks * max_steps, "steps") as update:

        def show(number: int, num_steps: int, leads: np.ndarray) -> None:
            blocks[number] = num_steps, leads
            all_leads = np.concatenate([leads for _, leads in blocks.values()])
            ahead, behind = int((all_leads > 0).sum()), int((all_leads < 0).sum())
            update(
                sum(steps for steps, _ in blocks.values()),
                f"{ahead} ahead, {all_leads.size - ahead - behind} level, {behind} behind",
            )

        yield show


@contextmanager
def _progress(total: int, unit: str) -> Iterator[Callable[[int, str], None]]:
    """Yield a function of the completed units and a description. unit: "" shows a percentage instead of counts."""
    console = plain_console(stderr=True)
    counts = (MofNCompleteColumn(), TextColumn(unit)) if unit else (TaskProgressColumn(),)
    columns = (TextColumn("{task.description}"), BarColumn(), *counts, TimeRemainingColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        task = progress.add_task("playing", total=total)
        yield lambda completed, description: progress.update(
            task, completed=completed, description=description
        )


def print_match(result: MatchResult) -> None:
    """Print a table by side, and a sentence that interprets it."""
    table = Table(title=f"{result.name_a} against {result.name_b}", title_justify="left")
    table.add_column(f"{result.name_a} plays")
    has_points = result.points is not None
    for heading in ("games", "won", "drawn", "lost", "score", *(("points",) if has_points else ())):
        table.add_column(heading, justify="right")
    for label, player in (("first", 0), ("second", 1), ("both", None)):
        counts = result.counts(player)
        table.add_row(
            label,
            *(str(count) for count in (sum(counts), *counts)),
            f"{result.score(player):.1%}",
            *((result.points_text(player),) if has_points else ()),
            style="bold" if player is None else None,
            end_section=player == 1,
        )
    console = plain_console()
    console.print(table)
    console.print(str(result))


def match_measurements(
    result: MatchResult, game_name: str, settings: dict[str, Any]
) -> list[Measurement]:
    """Return the match score and the Elo difference with their intervals, and the counts behind them."""
    low, high = result.score_interval
    wins, draws, losses = result.counts()
    counted = {
        "player_a": result.name_a,
        "player_b": result.name_b,
        "num_games": result.num_games,
        "wins": wins,
        "draws": draws,
        "losses": losses,
        "score_as_first": result.score(0),
        "score_as_second": result.score(1),
        "num_distinct_games": result.num_distinct_games,
        "seconds": round(result.seconds, 1),
    }
    if result.points is not None:
        counted["points_a"], counted["points_b"] = result.mean_points()
    score_interval = {"low": low, "high": high}
    measurements = [
        Measurement(
            "match", game_name, "score", result.score(), "", score_interval | counted | settings
        )
    ]
    if math.isfinite(result.elo):
        # JSON has no infinity, so there is no such line if one player won every game.
        elo_interval = {
            name: elo if math.isfinite(elo) else None
            for name, elo in zip(("low", "high"), result.elo_interval, strict=True)
        }
        conditions = elo_interval | counted | settings
        measurements.append(
            Measurement("match", game_name, "elo_difference", result.elo, "Elo", conditions)
        )
    return measurements
