"""The page of an evaluation: Markdown, with pictures. Drawing needs matplotlib, which is an extra."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path

from ddpzero.arena.evaluation import Evaluation
from ddpzero.arena.evaluation_tables import (
    JUDGEMENTS,
    MATCHES,
    RATINGS,
    Section,
    headline,
    missing_lines,
    sections,
    training_line,
)
from ddpzero.arena.judgements import distinct_names
from ddpzero.arena.ratings_report import draw_curve
from ddpzero.system.origin import machine_text, version_text

PAGE_FILE = "evaluation.md"


def write_page(folder: Path, evaluation: Evaluation, command: str) -> None:
    """Write a Markdown page and its pictures to a folder. command: that repeats the evaluation. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    origin = f"Measured on {time.strftime('%Y-%m-%d')} by {version_text()} on {machine_text()}:"
    lines = [f"# {headline(evaluation)}", ""]
    if line := training_line(evaluation):
        lines += [line, ""]
    lines.append(origin)
    lines += ["", f"    {command}"]
    for sentence in missing_lines(evaluation):
        lines += ["", f"**{sentence}**"]
    for kind, section in sections(evaluation).items():
        lines += ["", f"## {section.title}", "", *_markdown_table(section)]
        for note in section.notes:
            lines += ["", note]
        if kind in _PICTURES:
            _PICTURES[kind](folder / f"{kind}.png", evaluation)
            lines += ["", f"![{section.title}]({kind}.png)"]
    (folder / PAGE_FILE).write_text("\n".join([*lines, ""]))


def _markdown_table(section: Section) -> Iterator[str]:
    yield f"| {' | '.join(section.headings)} |"
    yield f"|{'|'.join(['---'] + ['---:'] * (len(section.headings) - 1))}|"
    for row in section.rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"


def _draw_matches(file: Path, evaluation: Evaluation) -> None:
    """Draw the score against each opponent, with its interval."""
    from matplotlib.figure import Figure

    names = [result.name_b for result in evaluation.ladder]
    scores = [100 * result.score() for result in evaluation.ladder]
    lows, highs = zip(*(result.score_interval for result in evaluation.ladder), strict=True)
    errors = [
        [max(score - 100 * low, 0.0) for score, low in zip(scores, lows, strict=True)],
        [max(100 * high - score, 0.0) for score, high in zip(scores, highs, strict=True)],
    ]
    figure = Figure(figsize=(max(5.0, 1.5 + 1.5 * len(names)), 3.5), layout="constrained")
    panel = figure.subplots()
    panel.bar(names, scores, yerr=errors, capsize=4, width=0.5)
    panel.axhline(50, color="gray", linestyle="--", linewidth=1)
    # Room for the interval of a player that has won all games.
    panel.set_ylim(0, 105)
    panel.set_xlim(-0.6, len(names) - 0.4)
    panel.set_ylabel("score in %, with 95 % interval")
    figure.suptitle(f"{evaluation.agent.model}\nagainst fixed opponents", fontsize="medium")
    figure.savefig(file, dpi=150)


def _draw_judgements(file: Path, evaluation: Evaluation) -> None:
    """Draw how often the run's models kept the outcome where it matters, over minutes: a curve for each search."""
    from matplotlib.figure import Figure

    names = distinct_names(evaluation.judgements)
    points = sorted(
        (name, shares.num_simulations, judgement.minutes, 100 * shares.kept)
        for name, judgement in zip(names, evaluation.judgements, strict=True)
        for shares in judgement.shares
    )
    figure = Figure(figsize=(7, 4), layout="constrained")
    panel = figure.subplots()
    for (name, simulations), group in groupby(points, key=lambda point: point[:2]):
        minutes, kept = zip(*(point[2:] for point in group), strict=True)
        how = f"{simulations} simulations" if simulations else "network alone"
        panel.plot(minutes, kept, marker="o", markersize=3, label=f"{name}, {how}")
    panel.set_xlabel("minutes of training")
    panel.set_ylabel("keeps the outcome where it matters, in %")
    panel.set_ylim(0, 102)
    panel.grid(alpha=0.3)
    panel.legend()
    figure.suptitle(f"{evaluation.run_name}: judgements of its models", fontsize="medium")
    figure.savefig(file, dpi=150)


def _draw_ratings(file: Path, evaluation: Evaluation) -> None:
    title = f"{evaluation.run_name}: Elo of its models, relative to {evaluation.anchor}"
    draw_curve(file, title, evaluation.ratings)


_PICTURES: dict[str, Callable[[Path, Evaluation], None]] = {
    MATCHES: _draw_matches,
    RATINGS: _draw_ratings,
    JUDGEMENTS: _draw_judgements,
}
