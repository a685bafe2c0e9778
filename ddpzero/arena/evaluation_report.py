"""Runs `ddpzero evaluate RUN`: shows an evaluation as text, as JSON lines, and as a Markdown page with pictures."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from ddpzero.arena.agents import load_agent
from ddpzero.arena.evaluation import Evaluation, evaluate
from ddpzero.arena.judge_report import share_text
from ddpzero.arena.judgements import JUDGEMENTS_FILE, Judgement
from ddpzero.arena.match_log import MATCHES_FILE
from ddpzero.arena.ratings_report import RatedPlayer, draw_curve
from ddpzero.arena.report import match_measurements
from ddpzero.arena.statistics import elo_text, share_interval
from ddpzero.games import describe_game
from ddpzero.run.finder import find_run
from ddpzero.system.errors import UserError
from ddpzero.system.measurements import Measurement, game_settings, print_measurements

PAGE_FILE = "evaluation.md"
_RATINGS_PICTURE = "ratings.png"
_LADDER_PICTURE = "ladder.png"
_MAX_RATINGS = 20
_MAX_JUDGEMENTS = 10


def run_evaluate(
    player: str,
    *,
    num_simulations: int | None = None,
    num_games: int = 100,
    seed: int = 0,
    as_json: bool = False,
    report: str | None = None,
) -> Evaluation:
    """Evaluate an agent and print the result. report: a folder for a page with pictures. Raises UserError."""
    if report is not None:
        _require_matplotlib()
    agent = load_agent(player)
    console = Console(stderr=True)
    with console.status("loading") as status:
        evaluation = evaluate(
            agent,
            _run_of(player),
            num_simulations=num_simulations,
            num_games=num_games,
            seed=seed,
            on_step=status.update,
        )
    if as_json:
        print_measurements(list(_measurements(evaluation, seed)), True)
    else:
        Console().print(_headline(evaluation), highlight=False, markup=False)
        for table in _tables(evaluation):
            Console().print(table)
    if report is not None:
        folder = Path(report)
        write_page(folder, evaluation)
        console.print(f"wrote {folder / PAGE_FILE}", highlight=False)
    return evaluation


def _run_of(player: str) -> Path | None:
    """Return the folder of the agent's run, if it has matches or judgements."""
    found = find_run(player)
    candidates = [found, *list(found.parents)[:2]] if found else []
    files = (MATCHES_FILE, JUDGEMENTS_FILE)
    return next((path for path in candidates if any((path / f).exists() for f in files)), None)


# ------------------------------------------------------------------------------ tables


def _rows(evaluation: Evaluation) -> dict[str, tuple[list[str], list[list[str]]]]:
    """Return title -> headings and rows of each table; only of what was measured."""
    tables = {}
    if evaluation.judged:
        tables["Solved positions: how often the move keeps the outcome"] = (
            ["positions", "simulations", "all", "where it matters", "best move"],
            [
                [
                    judged.file,
                    _simulations(judged.report.num_simulations),
                    share_text(judged.report.kept),
                    share_text(judged.report.kept[judged.report.matters]),
                    share_text(judged.report.best),
                ]
                for judged in evaluation.judged
            ],
        )
    if evaluation.judgements:
        tables["Judgements during the training, the newest last"] = (
            ["positions", "step", "minutes", "simulations", "where it matters", "best move"],
            list(_judgement_rows(evaluation.judgements[-_MAX_JUDGEMENTS:])),
        )
    tables["Matches"] = (
        ["opponent", "games", "score", "95 %", "Elo difference"],
        [
            [
                result.name_b,
                str(result.num_games),
                f"{result.score():.1%}",
                "{:.1%} to {:.1%}".format(*result.score_interval),
                elo_text(result.elo, *result.elo_interval),
            ]
            for result in evaluation.ladder
        ],
    )
    if evaluation.ratings:
        tables[f"Elo in the run's pool, relative to {evaluation.anchor}"] = (
            ["player", "Elo", "95 %", "games", "minutes", ""],
            [_rating_row(player, evaluation) for player in evaluation.ratings[:_MAX_RATINGS]],
        )
    tables["Speed"] = (
        ["player", "one move", "moves/s in lockstep", "positions"],
        [
            [
                what,
                f"{speed.latency_seconds * 1000:.1f} ms",
                f"{speed.moves_per_second:,.0f}",
                str(speed.num_positions),
            ]
            for what, speed in evaluation.speeds.items()
        ],
    )
    return tables


def _judgement_rows(judgements: Sequence[Judgement]) -> Iterator[list[str]]:
    for judgement in judgements:
        where = [judgement.file, f"{judgement.learner_step:,}", f"{judgement.minutes:.1f}"]
        for shares in judgement.shares:
            figures = [f"{shares.kept:.1%}", f"{shares.best:.1%}"]
            yield [*where, str(shares.num_simulations), *figures]


def _rating_row(player: RatedPlayer, evaluation: Evaluation) -> list[str]:
    rating, progress = player.rating, player.progress
    is_anchor = rating.player == evaluation.anchor
    is_evaluated = rating.player == evaluation.agent.model
    return [
        rating.player.removeprefix(f"{evaluation.run_name}-"),
        "0" if is_anchor else f"{rating.elo:+.0f}",
        "" if is_anchor else f"± {(rating.high - rating.low) / 2:.0f}",
        str(rating.num_games),
        f"{progress.minutes:.1f}" if progress else "",
        ", ".join(filter(None, [player.note, "this agent" if is_evaluated else ""])),
    ]


def _headline(evaluation: Evaluation) -> str:
    """Return who plays what: the first line of the report."""
    number = evaluation.num_simulations
    how = ""
    if number is not None:
        how = f", {number} simulations per move" if number else ", without search"
    return f"{evaluation.agent.model}: {describe_game(evaluation.agent.game)}{how}"


def _tables(evaluation: Evaluation) -> Iterator[Table]:
    for title, (headings, rows) in _rows(evaluation).items():
        table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
        for index, heading in enumerate(headings):
            justify: Literal["left", "right"] = "left" if index == 0 else "right"
            table.add_column(heading, justify=justify, overflow="fold")
        for row in rows:
            table.add_row(*row)
        yield table


def _simulations(number: int | None) -> str:
    return "" if number is None else str(number)


# -------------------------------------------------------------------------------- JSON


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
                "num_simulations": shares.num_simulations,
                "num_positions": judgement.num_positions,
                "learner_step": judgement.learner_step,
                "minutes": judgement.minutes,
            }
            for figure, value in (("judged_kept", shares.kept), ("judged_best", shares.best)):
                yield Measurement("evaluate", agent.game.name, figure, value, "", conditions)
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


# --------------------------------------------------------------------------- the page


def write_page(folder: Path, evaluation: Evaluation) -> None:
    """Write a Markdown page and its pictures to a folder. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    agent = evaluation.agent
    lines = [f"# {_headline(evaluation)}", "", f"Measured on {time.strftime('%Y-%m-%d')}."]
    pictures = {"Matches": _LADDER_PICTURE}
    _draw_ladder(folder / _LADDER_PICTURE, evaluation)
    if evaluation.ratings:
        draw_curve(
            folder / _RATINGS_PICTURE, f"Models of the run of {agent.model}", evaluation.ratings
        )
        pictures[f"Elo in the run's pool, relative to {evaluation.anchor}"] = _RATINGS_PICTURE
    for title, (headings, rows) in _rows(evaluation).items():
        lines += ["", f"## {title}", "", *_markdown_table(headings, rows)]
        if title in pictures:
            lines += ["", f"![{title}]({pictures[title]})"]
    (folder / PAGE_FILE).write_text("\n".join([*lines, ""]))


def _markdown_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(headings)} |"
    yield f"|{'|'.join(['---'] + ['---:'] * (len(headings) - 1))}|"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _draw_ladder(file: Path, evaluation: Evaluation) -> None:
    """Draw the score against each opponent, with its interval."""
    from matplotlib.figure import Figure

    names = [result.name_b for result in evaluation.ladder]
    scores = [result.score() for result in evaluation.ladder]
    lows, highs = zip(*(result.score_interval for result in evaluation.ladder), strict=True)
    errors = [
        [max(score - low, 0.0) for score, low in zip(scores, lows, strict=True)],
        [max(high - score, 0.0) for score, high in zip(scores, highs, strict=True)],
    ]
    figure = Figure(figsize=(1.5 + 1.5 * len(names), 3.5), layout="constrained")
    panel = figure.subplots()
    panel.bar(names, scores, yerr=errors, capsize=4, width=0.6)
    panel.axhline(0.5, color="gray", linestyle="--", linewidth=1)
    panel.set_ylim(0, 1)
    panel.set_ylabel("score, with 95 % interval")
    figure.savefig(file, dpi=150)


def _require_matplotlib() -> None:
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise UserError(
            "--report needs matplotlib: pip install 'ddpzero[report]', or leave --report out."
        ) from None
