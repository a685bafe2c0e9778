"""The tables of an evaluation, for the terminal and for a page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ddpzero.arena.evaluation import Evaluation
from ddpzero.arena.judge_report import share_text
from ddpzero.arena.judgements import Judgement, distinct_names
from ddpzero.arena.ratings_report import RatedPlayer
from ddpzero.arena.statistics import elo_text
from ddpzero.games import describe_game

# Titles of tables.
JUDGEMENTS = "Judgements during the training, the newest last"
MATCHES = "Matches"

_MAX_RATINGS = 20
_MAX_JUDGEMENTS = 10


def headline(evaluation: Evaluation) -> str:
    """Return who plays what: the first line of the report."""
    number = evaluation.num_simulations
    how = ""
    if number is not None:
        how = f", {number} simulations per move" if number else ", without search"
    return f"{evaluation.agent.model}: {describe_game(evaluation.agent.game)}{how}"


def rows_of(evaluation: Evaluation) -> dict[str, tuple[list[str], list[list[str]]]]:
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
        tables[JUDGEMENTS] = (
            ["positions", "step", "minutes", "simulations", "where it matters", "best move"],
            list(_judgement_rows(evaluation.judgements)),
        )
    tables[MATCHES] = (
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
        tables[ratings_title(evaluation)] = (
            ["player", "Elo", "95 %", "games", "minutes", ""],
            [_rating_row(player, evaluation) for player in _shown_ratings(evaluation)],
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


def ratings_title(evaluation: Evaluation) -> str:
    number = len(evaluation.ratings)
    shown = f" (the strongest of {number} players)" if number > _MAX_RATINGS else ""
    return f"Elo in the run's pool, relative to {evaluation.anchor}{shown}"


def _shown_ratings(evaluation: Evaluation) -> list[RatedPlayer]:
    """Return the strongest players, and the evaluated agent even if it is not one of them."""
    shown, weaker = evaluation.ratings[:_MAX_RATINGS], evaluation.ratings[_MAX_RATINGS:]
    return [*shown, *(each for each in weaker if each.rating.player == evaluation.agent.model)]


def _judgement_rows(judgements: Sequence[Judgement]) -> Iterator[list[str]]:
    named = list(zip(distinct_names(judgements), judgements, strict=True))
    for name, judgement in named[-_MAX_JUDGEMENTS:]:
        where = [name, f"{judgement.learner_step:,}", f"{judgement.minutes:.1f}"]
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


def _simulations(number: int | None) -> str:
    return "" if number is None else str(number)
