"""What an agent says of a position, by the names of moves. All values are from the view of the player to move."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

import numpy as np

from ddpzero.api.position import Position
from ddpzero.games.core.players import Evaluations, MoveThought, Thoughts

_NUM_SHOWN = 8
_LONGEST_LINE = 8


@dataclass(frozen=True)
class Evaluation:
    """What a network alone says of a position, without a search, from the view of the player to move.

    policy: the probability of each legal move, by name, the likeliest first; they sum to 1.
    value: the return that it expects, in [-1, 1]. wdl: the probabilities of a win, a draw and a loss.
    score: the expected score margin at the end; None if the network was not trained to know.
    ownership: `[B]` float32 in [-1, 1], in the order of position.board: 1 for a cell that will be the mover's at the
    end, -1 the opponent's; None likewise.
    """

    position: Position
    policy: Mapping[str, float]
    value: float
    wdl: tuple[float, float, float]
    score: float | None = None
    ownership: np.ndarray | None = None

    @property
    def best(self) -> str:
        """The likeliest move."""
        return next(iter(self.policy))

    def svg(self) -> str:
        """Return the board with the policy as a heat map, as the text of an SVG file."""
        return self.position.svg(self.policy)

    def __str__(self) -> str:
        shown = list(self.policy.items())[:_NUM_SHOWN]
        moves = ", ".join(f"{name} {share:.0%}" for name, share in shown)
        return f"{_outlook(self.value, self.wdl, self.score)}; {moves}"

    def __repr__(self) -> str:
        return f"<Evaluation: {self}>"

    def _repr_html_(self) -> str:
        return f"<div>{self.svg()}<div>{escape(_outlook(self.value, self.wdl, self.score))}</div></div>"


@dataclass(frozen=True)
class Move:
    """What a search has found about a move, from the view of the player to move.

    name: "d4". action: the same as a number. visits: simulations that began with it. value: the result that it leads
    to, in [-1, 1]; without visits, that of the position. prior: the network's probability. score: the score margin at
    the end that it leads to; None if the search counts none. line: the names of the moves that follow, beginning with
    this one. is_proven: whether the value is certain.
    """

    name: str
    action: int
    visits: int
    value: float
    prior: float
    score: float | None
    line: tuple[str, ...]
    is_proven: bool


@dataclass(frozen=True)
class SearchResult:
    """What a search has found about a position, from the view of the player to move.

    moves: the best first; those with the same visits by their priors. visits: simulations in all. value: the expected
    result, in [-1, 1]. wdl: the probabilities of a win, a draw and a loss. score, ownership: see Evaluation.
    is_proven: whether the value is certain, by the end of the game in all lines that count.
    """

    position: Position
    moves: tuple[Move, ...]
    visits: int
    value: float
    wdl: tuple[float, float, float]
    score: float | None
    ownership: np.ndarray | None
    is_proven: bool

    @property
    def best(self) -> str:
        """The move to play."""
        return self.moves[0].name

    @property
    def policy(self) -> Mapping[str, float]:
        """The share of the visits of each move, by name; without visits, the priors."""
        total = sum(move.visits for move in self.moves)
        if not total:
            return {move.name: move.prior for move in self.moves}
        return {move.name: move.visits / total for move in self.moves}

    def svg(self) -> str:
        """Return the board with the shares of visits as a heat map, as the text of an SVG file."""
        return self.position.svg(self.policy)

    def __str__(self) -> str:
        lines = [f"{_outlook(self.value, self.wdl, self.score)}, {self.visits} visits"]
        lines += ["  ".join(row) for row in _aligned(self.moves[:_NUM_SHOWN])]
        return "\n".join(lines)

    def __repr__(self) -> str:
        line = " ".join(self.moves[0].line[:_LONGEST_LINE])
        return f"<SearchResult: {self.best}, value {self.value:+.2f}, {self.visits} visits, line {line}>"

    def _repr_html_(self) -> str:
        rows = [_HEADINGS, *map(_row, self.moves[:_NUM_SHOWN])]
        tags = ["th", *["td"] * (len(rows) - 1)]
        table = "".join(
            f"<tr>{''.join(f'<{tag}>{escape(cell)}</{tag}>' for cell in row)}</tr>"
            for tag, row in zip(tags, rows, strict=True)
        )
        outlook = escape(f"{_outlook(self.value, self.wdl, self.score)}, {self.visits} visits")
        return (
            '<div style="display:flex;gap:1.5em;align-items:flex-start">'
            f"{self.svg()}<div><div>{outlook}</div><table>{table}</table></div></div>"
        )


def evaluation_of(position: Position, found: Evaluations, row: int) -> Evaluation:
    """Return a row of what a network says of several positions. position: the one of that row."""
    policy = found.policy[row]
    legal = sorted(position.legal_actions, key=lambda action: (-policy[action], action))
    name = position.game.action_name
    win, draw, loss = found.wdl[row].tolist()
    return Evaluation(
        position=position,
        policy={name(action): float(policy[action]) for action in legal},
        value=float(found.value[row]),
        wdl=(win, draw, loss),
        score=None if found.score is None else float(found.score[row]),
        ownership=None if found.ownership is None else found.ownership[row],
    )


def search_result(position: Position, thoughts: Thoughts) -> SearchResult:
    return SearchResult(
        position=position,
        moves=tuple(_move(position, thought) for thought in thoughts.moves),
        visits=thoughts.visits,
        value=thoughts.value,
        wdl=thoughts.wdl,
        score=thoughts.score,
        ownership=thoughts.ownership,
        is_proven=thoughts.is_proven,
    )


def _move(position: Position, thought: MoveThought) -> Move:
    name = position.game.action_name
    return Move(
        name=name(thought.action),
        action=thought.action,
        visits=thought.visits,
        value=thought.value,
        prior=thought.prior,
        score=thought.score,
        line=tuple(map(name, thought.line)),
        is_proven=thought.is_proven,
    )


_HEADINGS = ("move", "visits", "value", "prior", "line")


def _row(move: Move) -> tuple[str, ...]:
    value = f"{move.value:+.2f}{' proven' if move.is_proven else ''}"
    line = " ".join(move.line[:_LONGEST_LINE])
    return move.name, str(move.visits), value, f"{move.prior:.1%}", line


def _aligned(moves: tuple[Move, ...]) -> list[list[str]]:
    """Return the table of moves with cells of equal width in each column."""
    rows = [_HEADINGS, *map(_row, moves)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in rows]


def _outlook(value: float, wdl: tuple[float, float, float], score: float | None) -> str:
    win, draw, loss = wdl
    points = "" if score is None else f", score {score:+.1f}"
    return f"value {value:+.2f} (win {win:.0%}, draw {draw:.0%}, loss {loss:.0%}){points}"
