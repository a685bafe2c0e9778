"""What an agent thinks of a finished game, move by move: values, what each move lost, better moves.

One sweep from the first position to the last; the tree of each search is kept for the next. What a table of perfect
play knows replaces what the agent thinks. Prints nothing: the terminal and the page show what `review_game` returns.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np

from ddpzero.games import Game, describe_game
from ddpzero.games.core.players import MoveThought, Thoughts
from ddpzero.judges.exact_values import ExactTable, ExactValues
from ddpzero.play.engine import Engine, Limits
from ddpzero.records import GameRecord, margin_at_end
from ddpzero.system.errors import require

# Of the chance to win, of 1: smaller losses are the noise of the searches.
DOUBTFUL_LOSS = 0.05
BAD_LOSS = 0.15
VERY_BAD_LOSS = 0.4
# Longer lines are guesses.
_MAX_LINE = 12


@dataclass(frozen=True)
class ReviewedPosition:
    """A position from the view of the first player.

    win_rate: the chance to win plus half the chance of a draw. draw_rate: the chance of a draw. score: the expected
    margin at the end, komi included; None for a player that expects none. is_certain: whether the win rate is proven,
    the rules', or exact. is_exact: whether it is that of a table of perfect play. visits: simulations of the search.
    """

    win_rate: float
    draw_rate: float
    score: float | None
    is_certain: bool
    visits: int
    is_exact: bool = False


@dataclass(frozen=True)
class ReviewedMove:
    """A move and the move that the agent prefers, from the view of the player who moved.

    ply: the number of moves before it. best_action, best_line: what the agent prefers, and the moves that it expects,
    beginning with it. best_win_rate, win_rate: after that move, and after the one that was played. loss: of win rate,
    0 or more; score_loss: of the margin, None if the agent expects none. is_certain: whether both win rates are proven,
    the rules', or exact. is_exact: whether both are of a table of perfect play, by which the preferred move is a best
    one; the moves after it are what the agent expects. num_choices: of legal moves.
    """

    ply: int
    player: int
    action: int
    best_action: int
    best_line: tuple[int, ...]
    best_win_rate: float
    win_rate: float
    loss: float
    score_loss: float | None
    is_certain: bool
    num_choices: int
    is_exact: bool = False

    @property
    def is_first_choice(self) -> bool:
        return self.action == self.best_action


@dataclass(frozen=True)
class Review:
    """A reviewed game, or its first part while the review goes on.

    reviewer: the name of the agent. positions: before each move and, as the last one, at the end. moves: each of them
    needs the position after it.
    """

    record: GameRecord
    reviewer: str
    positions: tuple[ReviewedPosition, ...] = ()
    moves: tuple[ReviewedMove, ...] = ()

    @property
    def is_complete(self) -> bool:
        return len(self.positions) == len(self.record.actions) + 1

    @property
    def num_exact(self) -> int:
        """The number of moves whose losses are exact."""
        return sum(move.is_exact for move in self.moves)

    def worst(self, number: int, least_loss: float = DOUBTFUL_LOSS) -> list[ReviewedMove]:
        """Return the moves that lost most, at most so many, the worst first; none that lost less than least_loss."""
        losing = [move for move in self.moves if move.loss >= least_loss]
        return sorted(losing, key=lambda move: (-move.loss, -(move.score_loss or 0.0)))[:number]

    def of_player(self, player: int) -> list[ReviewedMove]:
        return [move for move in self.moves if move.player == player]

    def first_choice_share(self, player: int) -> float | None:
        """Return how many of a player's moves are the agent's first choice, where there was a choice; None: nowhere."""
        chosen = [move.is_first_choice for move in self.of_player(player) if move.num_choices > 1]
        return float(np.mean(chosen)) if chosen else None

    def mean_loss(self, player: int) -> float | None:
        """Return the win rate that a move of a player lost on average; None without a move."""
        losses = [move.loss for move in self.of_player(player)]
        return float(np.mean(losses)) if losses else None

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON has it: moves by their names, and beside them as the indices of actions."""
        record, name_of = self.record, self.record.game.action_name
        return {
            "game": record.game.name,
            "parameters": asdict(record.game.parameters),
            "names": list(record.names),
            "result": record.result,
            "reviewer": self.reviewer,
            "is_complete": self.is_complete,
            "positions": [vars(position) for position in self.positions],
            "moves": [
                {
                    **vars(move),
                    "name": name_of(move.action),
                    "best_name": name_of(move.best_action),
                    "best_line": list(move.best_line),
                    "best_line_names": [name_of(action) for action in move.best_line],
                    "is_first_choice": move.is_first_choice,
                }
                for move in self.moves
            ],
            "first_choice_share": [self.first_choice_share(player) for player in (0, 1)],
            "mean_loss": [self.mean_loss(player) for player in (0, 1)],
        }


def review_game(
    record: GameRecord,
    engine: Engine,
    limits: Limits,
    on_progress: Callable[[Review], None] = lambda review: None,
    is_stopped: Callable[[], bool] = lambda: False,
    table: ExactTable | None = None,
) -> Review:
    """Review a game with the player of an engine, whose own game this replaces.

    limits: of each position. on_progress: called with what is known after each of them. is_stopped: asked a few dozen
    times a second; the review then ends with the positions before. table: of the record's game. Raises UserError if
    the record is of another game than the engine plays, ValueError for an illegal move, PlayerError for a player that
    fails.
    """
    require(
        describe_game(record.game) == describe_game(engine.game),
        f"the game is {describe_game(record.game)}, but {engine.player.name} plays "
        f"{describe_game(engine.game)} here.",
    )
    engine.set_up()
    review = Review(record, engine.player.name)
    before: _Before | None = None
    for ply in range(len(record.actions) + 1):
        if ply > 0:
            engine.play(record.actions[ply - 1])
        thoughts = None if engine.episode.is_over else engine.think(limits, is_stopped)
        if is_stopped():
            break
        exact = table.find(engine.position) if table is not None and thoughts is not None else None
        position = _position(engine, thoughts)
        if thoughts is not None:
            position = _with_exact(engine, position, exact, before)
        review = replace(review, positions=(*review.positions, position))
        if before is not None:
            review = replace(
                review, moves=(*review.moves, _move(record, ply - 1, before, position))
            )
        on_progress(review)
        if thoughts is not None:
            player, num_choices = engine.episode.current_player, len(engine.episode.legal_actions())
            before = _Before(player, thoughts, num_choices, exact)
    return review


Verdict = Literal["worse", "as good", "better"]


def verdict_of_guess(move: ReviewedMove, win_rate: float) -> Verdict:
    """Compare the win rate after another action with that of what the review found instead of the move."""
    gained = win_rate - move.best_win_rate
    if gained >= DOUBTFUL_LOSS:
        return "better"
    return "as good" if -gained < DOUBTFUL_LOSS else "worse"


def win_rate_instead(
    record: GameRecord,
    move: ReviewedMove,
    action: int,
    engine: Engine,
    limits: Limits,
    table: ExactTable | None = None,
    is_stopped: Callable[[], bool] = lambda: False,
) -> float:
    """Return the win rate of the player of a reviewed move after another action in its place.

    is_stopped: ends the search early, when nobody waits for its result. The other arguments are those of review_game.
    Raises ValueError for an action that is not legal, PlayerError for a player that fails.
    """
    engine.set_up(record.actions[: move.ply])
    exact = table.find(engine.position) if table is not None else None
    engine.play(action)
    if exact is not None:
        return _rate(exact.outcomes[action])
    thoughts = None if engine.episode.is_over else engine.think(limits, is_stopped)
    after = _position(engine, thoughts)
    if thoughts is not None and table is not None:
        after = _with_exact(engine, after, table.find(engine.position), None)
    return after.win_rate if move.player == 0 else 1.0 - after.win_rate


@dataclass(frozen=True)
class _Before:
    """What is known of the position before a move. player: who moves. num_choices: of legal moves."""

    player: int
    thoughts: Thoughts
    num_choices: int
    exact: ExactValues | None


def _position(engine: Engine, thoughts: Thoughts | None) -> ReviewedPosition:
    """Return what was found about the engine's position; thoughts: None at the end of the game."""
    game, position = engine.game, engine.position
    if thoughts is None:
        value = float(game.returns(position)[0])
        return ReviewedPosition(
            _rate(value), float(value == 0), margin_at_end(game, position), True, 0
        )
    mover = engine.episode.current_player
    return ReviewedPosition(
        win_rate=_rate(_of_first(thoughts.value, mover)),
        draw_rate=float(thoughts.wdl[1]),
        score=_margin(game, thoughts.score, mover),
        is_certain=thoughts.is_proven,
        visits=thoughts.visits,
    )


def _with_exact(
    engine: Engine, position: ReviewedPosition, exact: ExactValues | None, before: _Before | None
) -> ReviewedPosition:
    """Return the engine's position with the result of perfect play, if it is known of it or of the move that led to it.

    exact: of this position. before: the position before it, None at the start of the game.
    """
    if exact is not None:
        outcome, margin, player = exact.outcome, exact.margin, engine.episode.current_player
    elif before is not None and before.exact is not None:
        action, player = engine.episode.actions[-1], before.player
        outcome = before.exact.outcomes[action]
        margin = before.exact.margins[action] if before.exact.margins is not None else None
    else:
        return position
    return replace(
        position,
        win_rate=_rate(_of_first(outcome, player)),
        draw_rate=float(outcome == 0),
        score=_margin(engine.game, margin, player),
        is_certain=True,
        is_exact=True,
    )


def _move(record: GameRecord, ply: int, before: _Before, after: ReviewedPosition) -> ReviewedMove:
    """Compare a move with the agent's choice, or with the best one that a table knows. after: the position after it."""
    player, thoughts, exact = before.player, before.thoughts, before.exact
    best, action = _best_move(thoughts, exact), record.actions[ply]
    win_rate = after.win_rate if player == 0 else 1.0 - after.win_rate
    best_rate = _rate(best.value if exact is None else exact.outcome)
    best_win_rate = win_rate if best.action == action else best_rate
    best_score = thoughts.score if best.score is None else best.score
    if exact is not None:
        best_score = exact.margin
    margin, score_loss = _margin(record.game, best_score, player), None
    if margin is not None and after.score is not None:
        lost = _of_first(margin - after.score, player)
        score_loss = 0.0 if best.action == action else max(0.0, lost)
    return ReviewedMove(
        ply=ply,
        player=player,
        action=action,
        best_action=best.action,
        best_line=best.line[:_MAX_LINE],
        best_win_rate=best_win_rate,
        win_rate=win_rate,
        loss=max(0.0, best_win_rate - win_rate),
        score_loss=score_loss,
        is_certain=after.is_certain
        and (exact is not None or best.is_proven or best.action == action),
        num_choices=before.num_choices,
        is_exact=exact is not None,
    )


def _best_move(thoughts: Thoughts, exact: ExactValues | None) -> MoveThought:
    """Return the agent's first choice, or the one among the moves that are best by perfect play."""
    if exact is None:
        return thoughts.moves[0]
    best = exact.best_actions
    for move in thoughts.moves:
        if move.action in best:
            return move
    # A player without a tree names only the moves that it tried.
    return MoveThought(best[0], 0, float(exact.outcome), 0.0, None, (best[0],), False)


def _rate(value: float) -> float:
    """Return the win rate of an expected result in [-1, 1], in which a draw is 0."""
    return float(np.clip((value + 1.0) / 2.0, 0.0, 1.0))


def _of_first(value: float, player: int) -> float:
    """Convert a value of a player to one of the first player, or back."""
    return value if player == 0 else -value


def _margin(game: Game, score: float | None, player: int) -> float | None:
    """Return the first player's margin, komi included, of what a player expects without it."""
    if score is None:
        return None
    return _of_first(score, player) - getattr(game.parameters, "komi", 0)
