"""The page of an evaluation: Markdown, with pictures. Drawing needs matplotlib, which is an extra."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from ddpzero.arena.evaluation import Evaluation
from ddpzero.arena.evaluation_tables import JUDGEMENTS, MATCHES, headline, ratings_title, rows_of
from ddpzero.arena.judgements import distinct_names
from ddpzero.arena.ratings_report import draw_curve

PAGE_FILE = "evaluation.md"
_RATINGS_PICTURE = "ratings.png"
_LADDER_PICTURE = "ladder.png"
_JUDGEMENTS_PICTURE = "judgements.png"


def write_page(folder: Path, evaluation: Evaluation) -> None:
    """Write a Markdown page and its pictures to a folder. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    agent = evaluation.agent
    lines = [f"# {headline(evaluation)}", "", f"Measured on {time.strftime('%Y-%m-%d')}."]
    pictures = {MATCHES: _LADDER_PICTURE}
    _draw_ladder(folder / _LADDER_PICTURE, evaluation)
    if evaluation.ratings:
        draw_curve(
            folder / _RATINGS_PICTURE, f"Models of the run of {agent.model}", evaluation.ratings
        )
        pictures[ratings_title(evaluation)] = _RATINGS_PICTURE
    if evaluation.judgements:
        _draw_judgements(folder / _JUDGEMENTS_PICTURE, evaluation)
        pictures[JUDGEMENTS] = _JUDGEMENTS_PICTURE
    for title, (headings, rows) in rows_of(evaluation).items():
        lines += ["", f"## {title}", "", *_markdown_table(headings, rows)]
        if title in pictures:
            lines += ["", f"![{title}]({pictures[title]})"]
    (folder / PAGE_FILE).write_text("\n".join([*lines, ""]))


def _markdown_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(headings)} |"
    yield f"|{'|'.join(['---'] + ['---:'] * (len(headings) - 1))}|"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"


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


def _draw_judgements(file: Path, evaluation: Evaluation) -> None:
    """Draw how often the run's models kept the outcome where it matters, over minutes: a curve for each search."""
    from matplotlib.figure import Figure

    names = distinct_names(evaluation.judgements)
    points = sorted(
        (name, shares.num_simulations, judgement.minutes, shares.kept)
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
    panel.set_ylabel("keeps the outcome where it matters")
    panel.set_ylim(0, 1.02)
    panel.grid(alpha=0.3)
    panel.legend()
    figure.savefig(file, dpi=150)
