"""The tables of an evaluation, for the terminal and for a page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ddpzero.arena.evaluation import Evaluation
from ddpzero.arena.judge_report import share_text
from ddpzero.arena.judgements import Judgement, distinct_names
from ddpzero.arena.ratings_report import RatedPlayer
from ddpzero.arena.statistics import elo_text, repetition_caveat
from ddpzero.games import TeamGame, describe_game
from ddpzero.system.guarded_files import is_count, is_finite_number

# Kinds of sections.
POSITIONS, JUDGEMENTS, MATCHES, RATINGS, SPEED = (
    "positions",
    "judgements",
    "matches",
    "ratings",
    "speed",
)

_MAX_RATINGS = 20
_MAX_JUDGEMENTS = 10

_KEEPS = "all, where it matters: the move keeps the outcome of perfect play; matters: not every legal move does."
_INTERVALS = "±: half the 95 % interval"


@dataclass(frozen=True)
class Section:
    """A table of the report. notes: sentences below it, which explain its terms or name what is missing."""

    title: str
    headings: list[str]
    rows: list[list[str]]
    notes: list[str] = field(default_factory=list)


def headline(evaluation: Evaluation) -> str:
    """Return who plays what: the first line of the report."""
    number = evaluation.num_simulations
    how = ""
    if number is not None:
        how = f", {number} simulations per move" if number else ", without search"
    return f"{evaluation.agent.model}: {describe_game(evaluation.agent.game)}{how}"


def training_line(evaluation: Evaluation) -> str:
    """Return how long the agent was trained; "" if its checkpoint does not tell."""
    counters = evaluation.agent.counters
    minutes, samples, updates = (
        counters.get(name) for name in ("minutes", "samples", "learner_step")
    )
    if not (is_finite_number(minutes) and is_count(samples) and is_count(updates)):
        return ""
    return f"Trained for {minutes:.1f} minutes: {samples:,} samples, {updates:,} updates."


def missing_lines(evaluation: Evaluation) -> list[str]:
    """Return a sentence for each part of the report that is missing or incomplete."""
    lines = []
    if evaluation.stopped_at:
        lines.append(
            f"Stopped during: {evaluation.stopped_at}. It and all that would follow are missing."
        )
    if evaluation.run_name and not evaluation.ratings:
        lines.append(
            f"No ratings: the arena of the run {evaluation.run_name} has played no matches."
        )
    rated = {player.rating.player for player in evaluation.ratings}
    if rated and evaluation.agent.model not in rated:
        lines.append(
            f"{evaluation.agent.model} itself has no rating: the run's arena has not played with it."
        )
    return lines


def sections(evaluation: Evaluation) -> dict[str, Section]:
    """Return the tables of what was measured, by kind, in the order of the report."""
    parts = {
        POSITIONS: _solved_positions(evaluation),
        JUDGEMENTS: _judgements(evaluation),
        MATCHES: _matches(evaluation),
        RATINGS: _ratings(evaluation),
        SPEED: _speeds(evaluation),
    }
    return {kind: section for kind, section in parts.items() if section.rows}


def _solved_positions(evaluation: Evaluation) -> Section:
    rows: list[list[str]] = []
    for judged in evaluation.judged:
        report = judged.report
        rows.append(
            [
                judged.file,
                _simulations(report.num_simulations),
                share_text(report.kept),
                share_text(report.kept[report.matters]),
                share_text(report.best),
            ]
        )
    by_file = {judged.file: judged.any_action for judged in evaluation.judged}
    for file, shares in by_file.items():
        figures = (shares.kept, shares.kept_where_it_matters, shares.best)
        rows.append(
            [f"{file}, a random move", "", *("" if f is None else f"{f:.1%}" for f in figures)]
        )
    return Section(
        "Solved positions: how often the move keeps the outcome",
        ["positions", "simulations", "all", "where it matters", "best move"],
        rows,
        [_KEEPS, "best move: no move is better by perfect play.", _INTERVALS],
    )


def _judgements(evaluation: Evaluation) -> Section:
    return Section(
        "Judgements during the training, the newest last",
        ["positions", "step", "minutes", "simulations", "where it matters", "best move"],
        list(_judgement_rows(evaluation.judgements)),
    )


def _matches(evaluation: Evaluation) -> Section:
    ladder = evaluation.ladder
    notes = [
        "score: a win counts 1, a draw 0.5. rollout:N: plain tree search, N simulations a move."
    ]
    if isinstance(evaluation.agent.game, TeamGame):
        notes = ["score: a win counts 1, a draw 0.5."]
    if evaluation.unplayed:
        notes.append(
            f"Not played, because the agent lost to a weaker one: {', '.join(evaluation.unplayed)}."
        )
    for result in ladder:
        if caveat := repetition_caveat(result.num_distinct_games, result.num_games):
            notes.append(f"{result.name_b}: {caveat}")
    rows = [
        [
            result.name_b,
            str(result.num_games),
            f"{result.score():.1%}",
            "{:.1%} to {:.1%}".format(*result.score_interval),
            elo_text(result.elo, *result.elo_interval),
        ]
        for result in ladder
    ]
    return Section("Matches", ["opponent", "games", "score", "95 %", "Elo difference"], rows, notes)


def _ratings(evaluation: Evaluation) -> Section:
    number = len(evaluation.ratings)
    shown = f" (the strongest of {number} players)" if number > _MAX_RATINGS else ""
    return Section(
        f"Elo in the run's pool, relative to {evaluation.anchor}{shown}",
        ["player", "Elo", "95 %", "games", "minutes", ""],
        [_rating_row(player, evaluation) for player in _shown_ratings(evaluation)],
        [
            "From the matches that the arena played during the training, with its own number of simulations."
        ],
    )


def _speeds(evaluation: Evaluation) -> Section:
    rows = [
        [
            what,
            f"{speed.latency_seconds * 1000:.1f} ms",
            f"{speed.moves_per_second:,.0f}",
            str(speed.num_positions),
        ]
        for what, speed in evaluation.speeds.items()
    ]
    return Section(
        "Speed",
        ["player", "one move", "moves/s in lockstep", "positions"],
        rows,
        ["in lockstep: moves in so many positions at once, as in a match."],
    )


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
        "0" if is_anchor else f"{rating.elo:+z.0f}",
        "" if is_anchor else f"± {(rating.high - rating.low) / 2:.0f}",
        str(rating.num_games),
        f"{progress.minutes:.1f}" if progress else "",
        ", ".join(filter(None, [player.note, "this agent" if is_evaluated else ""])),
    ]


def _simulations(number: int | None) -> str:
    return "" if number is None else str(number)
