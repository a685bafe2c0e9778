"""Runs `ddpzero evaluate RUN`: shows an evaluation as text, as JSON lines, and as a Markdown page with pictures."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from rich.box import SIMPLE_HEAD
from rich.table import Table

from ddpzero.arena.agents import load_agent
from ddpzero.arena.evaluation import Evaluation, evaluate
from ddpzero.arena.evaluation_page import PAGE_FILE, write_page
from ddpzero.arena.evaluation_tables import (
    Section,
    headline,
    missing_lines,
    sections,
    training_line,
)
from ddpzero.arena.judging import BEST, FIGURES_IN_JSON, KEEPS_WHERE_IT_MATTERS
from ddpzero.arena.ratings_report import require_matplotlib
from ddpzero.arena.report import match_measurements
from ddpzero.arena.statistics import share_interval
from ddpzero.run.finder import find_run, is_run
from ddpzero.system.measurements import Measurement, game_settings, print_measurements
from ddpzero.system.terminal import plain_console, shown_steps
from ddpzero.system.whole_files import require_writable


def run_evaluate(
    player: str,
    *,
    num_simulations: int | None = None,
    num_games: int = 100,
    seed: int = 0,
    as_json: bool = False,
    report: str | None = None,
) -> Evaluation:
    """Evaluate an agent and print the result. report: a folder for a page with pictures. Raises UserError.

    Raises KeyboardInterrupt after Ctrl-C, when the result until then is printed and written.
    """
    if report is not None:
        require_matplotlib(f"--report {report}")
        require_writable(f"--report {report}", Path(report), make=True)
    agent = load_agent(player)
    with shown_steps() as on_step:
        evaluation = evaluate(
            agent,
            _run_of(player),
            num_simulations=num_simulations,
            num_games=num_games,
            seed=seed,
            on_step=on_step,
        )
    if as_json:
        print_measurements(list(_measurements(evaluation, seed)), True)
    else:
        _print(evaluation)
    if report is not None:
        folder = Path(report)
        write_page(folder, evaluation, _command(player, num_simulations, num_games, seed))
        print(f"wrote {folder / PAGE_FILE}", file=sys.stderr)
    if evaluation.stopped_at:
        raise KeyboardInterrupt
    return evaluation


def _run_of(player: str) -> Path | None:
    """Return the folder of the agent's run; None if its files are in none."""
    found = find_run(player)
    candidates = [found, *list(found.parents)[:2]] if found else []
    return next((path for path in candidates if is_run(path)), None)


def _command(player: str, num_simulations: int | None, num_games: int, seed: int) -> str:
    words = ["ddpzero", "evaluate", player, "--games", str(num_games), "--seed", str(seed)]
    if num_simulations is not None:
        words += ["--simulations", str(num_simulations)]
    return shlex.join(words)


def _print(evaluation: Evaluation) -> None:
    console = plain_console()
    console.print(headline(evaluation))
    if line := training_line(evaluation):
        console.print(line)
    for section in sections(evaluation).values():
        console.print()
        console.print(_table(section))
    for sentence in missing_lines(evaluation):
        console.print(sentence)


def _table(section: Section) -> Table:
    table = Table(
        title=section.title,
        title_justify="left",
        caption="\n".join(section.notes),
        caption_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
    )
    for index, heading in enumerate(section.headings):
        justify: Literal["left", "right"] = "left" if index == 0 else "right"
        table.add_column(heading, justify=justify, overflow="fold")
    for row in section.rows:
        table.add_row(*row)
    return table


def _measurements(evaluation: Evaluation, seed: int) -> Iterator[Measurement]:
    agent = evaluation.agent
    common = {
        "player": agent.model,
        "num_simulations": evaluation.num_simulations,
        "seed": seed,
        **game_settings(agent.game.parameters),
    }
    for judged in evaluation.judged:
        report = judged.report
        for figure, hits in report.figures.items():
            low, high = share_interval(int(hits.sum()), len(hits))
            conditions = {**common, "num_simulations": report.num_simulations}
            conditions |= {"file": judged.file, "low": low, "high": high}
            yield Measurement(
                "evaluate", agent.game.name, figure, float(hits.mean()), "", conditions
            )
    for judgement in evaluation.judgements:
        for shares in judgement.shares:
            conditions = {
                "player": judgement.model,
                "file": judgement.file,
                "digest": judgement.digest,
                "num_simulations": shares.num_simulations,
                "num_positions": judgement.num_positions,
                "learner_step": judgement.learner_step,
                "minutes": judgement.minutes,
            }
            figures = (KEEPS_WHERE_IT_MATTERS, shares.kept), (BEST, shares.best)
            for figure, value in figures:
                name = FIGURES_IN_JSON[figure]
                yield Measurement("judgement", agent.game.name, name, value, "", conditions)
    for result in evaluation.ladder:
        yield from match_measurements(result, agent.game.name, common)
    for player in evaluation.ratings:
        rating = player.rating
        conditions = {"player": rating.player, "anchor": evaluation.anchor}
        conditions |= {"low": rating.low, "high": rating.high, "num_games": rating.num_games}
        yield Measurement("evaluate", agent.game.name, "elo", rating.elo, "Elo", conditions)
    for what, speed in evaluation.speeds.items():
        conditions = {**common, "what": what, "num_positions": speed.num_positions}
        for figure, value, unit in (
            ("latency", speed.latency_seconds, "s"),
            ("moves_per_second", speed.moves_per_second, "1/s"),
        ):
            yield Measurement("evaluate", agent.game.name, figure, value, unit, conditions)
