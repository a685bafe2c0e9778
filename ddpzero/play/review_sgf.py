"""A reviewed game as SGF: comments, values and marks of the moves, and the better lines as variations."""

from __future__ import annotations

from ddpzero.play.review import (
    BAD_LOSS,
    DOUBTFUL_LOSS,
    VERY_BAD_LOSS,
    Review,
    ReviewedMove,
    ReviewedPosition,
)
from ddpzero.records import sgf_of_record
from ddpzero.records.sgf import Notes, Variation
from ddpzero.records.sgf_text import escaped, property_text

# Win rates from which a position is good, and very good, for a side.
_GOOD_RATE, _VERY_GOOD_RATE = 0.75, 0.95


def sgf_of_review(review: Review) -> str:
    """Return the game with what the review says. Raises UserError for a game without SGF.

    C: win rate, and what the move lost. V: the expected margin for the first player, in games with a score. GB, GW: the
    position is good for a side. DO, BM: the move is doubtful, bad. Variations: what would have been better.
    """
    notes = {
        ply: Notes(_comment(review, ply), _marks(review, ply), _variations(review, ply))
        for ply in range(len(review.positions))
    }
    return sgf_of_record(review.record, notes)


def _comment(review: Review, ply: int) -> str:
    position = review.positions[ply]
    lines = [said_of_position(position)]
    move = review.moves[ply - 1] if 0 < ply <= len(review.moves) else None
    if move is not None and move.loss >= DOUBTFUL_LOSS:
        lines.append(said_of_loss(review, move))
    if ply == 0:
        exact = f" {said_of_exact(review)}." if review.num_exact else ""
        lines.insert(0, f"Reviewed by {review.reviewer}.{exact}")
    return "\n".join(lines)


def said_of_exact(review: Review) -> str:
    """Return "Of 31 moves, what 4 lost is exact, by a table of perfect play"."""
    return f"Of {len(review.moves)} moves, what {review.num_exact} lost is exact, by a table of perfect play"


def said_of_position(position: ReviewedPosition) -> str:
    """Return "Black wins: 62%, B+3.5"; the first player is black."""
    certain = " (exact)" if position.is_exact else " (certain)" if position.is_certain else ""
    margin = "" if position.score is None else f", {said_of_margin(position.score)}"
    return f"Black wins: {position.win_rate:.0%}{margin}{certain}"


def said_of_margin(margin: float) -> str:
    return f"{'B' if margin >= 0 else 'W'}+{abs(margin):.1f}"


def said_of_loss(review: Review, move: ReviewedMove) -> str:
    """Return "Lost 12% and 3.1 points. Better: D4 E3 C5 (74%)"."""
    names = " ".join(map(review.record.game.action_name, move.best_line))
    points = f" and {move.score_loss:.1f} points" if move.score_loss else ""
    return f"Lost {move.loss:.0%}{points}. Better: {names} ({move.best_win_rate:.0%})"


def _marks(review: Review, ply: int) -> str:
    position = review.positions[ply]
    marks = ""
    if position.score is not None:
        marks += property_text("V", f"{position.score:.1f}")
    for name, rate in (("GB", position.win_rate), ("GW", 1.0 - position.win_rate)):
        if rate >= _GOOD_RATE:
            marks += property_text(name, "2" if rate >= _VERY_GOOD_RATE else "1")
    if 0 < ply <= len(review.moves):
        loss = review.moves[ply - 1].loss
        if loss >= BAD_LOSS:
            marks += property_text("BM", "2" if loss >= VERY_BAD_LOSS else "1")
        elif loss >= DOUBTFUL_LOSS:
            marks += property_text("DO", "")
    return marks


def _variations(review: Review, ply: int) -> list[Variation]:
    move = review.moves[ply] if ply < len(review.moves) else None
    if move is None or move.loss < DOUBTFUL_LOSS:
        return []
    comment = property_text("C", escaped(f"Better: {move.best_win_rate:.0%}"))
    return [Variation(move.best_line, comment)]
