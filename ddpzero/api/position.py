"""A position of a board game, with the moves that led to it. It never changes: a move makes another one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from operator import index

import numpy as np

from ddpzero.api.picture import Scene, picture_of
from ddpzero.games import Game, describe_game
from ddpzero.games.core.promises import TOO_LONG, require_no_fault
from ddpzero.system.errors import UserError, require

_MAX_LISTED_MOVES = 40


class Position:
    """A position of a board game, with the moves that led to it from the start of the game.

        position = ddpzero.Position(ddpzero.load_game("gomoku", size=9), "e5 d4")
        position.play("e6").legal_moves

    It never changes: `play` returns another one. `print` shows the board as text, a notebook draws it. Two positions
    are equal if the rules cannot tell them apart, by whatever moves they were reached.

    game: the rules. parent: the position before the last move, None at the start.
    """

    __slots__ = ("_array", "actions", "game", "parent")

    _array: np.ndarray
    actions: tuple[int, ...]
    game: Game
    parent: Position | None

    def __init__(self, game: Game, moves: str | Sequence[str | int] = ()) -> None:
        """moves: from the start on, by name ("d4 e5", or a list) or as numbers of actions.

        Raises UserError for a move that is not legal.
        """
        require(
            isinstance(game, Game),
            f"Position(game={game!r:.80}): the game must be one of two players who take turns, as "
            'ddpzero.load_game("gomoku") returns it.',
        )
        position = _start(game)
        for move in moves.split() if isinstance(moves, str) else moves:
            position = position.play(move)
        self._set(game, position.array, position.actions, position.parent)

    def _set(
        self, game: Game, array: np.ndarray, actions: tuple[int, ...], parent: Position | None
    ) -> None:
        array.flags.writeable = False
        for name, value in (
            ("game", game),
            ("_array", array),
            ("actions", actions),
            ("parent", parent),
        ):
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("a position never changes: play() returns another one.")

    # ------------------------------------------------------------------ what is on the board

    @property
    def array(self) -> np.ndarray:
        """`[P]` integers: the position as the rules have it; read-only."""
        return self._array

    @property
    def board(self) -> np.ndarray:
        """`[B]` uint8: who has each cell, in the game's order: 0 nobody, 1 the first player, 2 the second one."""
        return self.game.board(self.array)

    @property
    def current_player(self) -> int:
        """The player to move: 0 is the one who begins a game, 1 the other one. Without meaning once it is over."""
        return self.game.current_player(self.array)

    @property
    def is_over(self) -> bool:
        return self.game.is_terminal(self.array)

    @property
    def returns(self) -> tuple[float, float] | None:
        """The results of player 0 and of player 1: 1 won, 0 drawn, -1 lost. None while the game goes on."""
        if not self.is_over:
            return None
        first, second = self.game.returns(self.array).tolist()
        return first, second

    @property
    def score(self) -> int | None:
        """The points of player 0 minus those of player 1 at the end. None before, and for games without points."""
        return self.game.score(self.array) if self.is_over and self.game.has_score else None

    # ------------------------------------------------------------------ moves

    @property
    def moves(self) -> tuple[str, ...]:
        """The names of the moves from the start of the game to this position."""
        return tuple(map(self.game.action_name, self.actions))

    @property
    def legal_moves(self) -> tuple[str, ...]:
        """The names of the legal moves; empty once the game is over."""
        return tuple(map(self.game.action_name, self.legal_actions))

    @property
    def legal_actions(self) -> tuple[int, ...]:
        """The legal moves as numbers, from 0 to game.num_actions - 1."""
        return () if self.is_over else tuple(self.game.possible_actions(self.array).tolist())

    def play(self, move: str | int) -> Position:
        """Return the position after a move, given by its name or as a number. Raises UserError if it is not legal."""
        action = self._action(move)
        after = object.__new__(Position)
        array = self.game.apply_action(self.array, action)
        after._set(self.game, array, (*self.actions, action), self)
        if len(after.actions) >= self.game.spec.max_plies and not after.is_over:
            require_no_fault(self.game, TOO_LONG)
        return after

    def history(self) -> Iterator[Position]:
        """Yield the positions from the start of the game to this one."""
        line: list[Position] = []
        position: Position | None = self
        while position is not None:
            line.append(position)
            position = position.parent
        yield from reversed(line)

    def _action(self, move: str | int) -> int:
        """Return the number of a legal move. Raises UserError."""
        require(
            not self.is_over,
            f"{move!r:.80} cannot be played: this game of {self.game.name} is over.",
        )
        require(
            not isinstance(move, bool),
            f"{move} is no move of {self.game.name}: give its name or its number.",
        )
        try:
            action = self.game.parse_action(move) if isinstance(move, str) else index(move)
        except (TypeError, ValueError) as error:
            raise UserError(f"{move!r:.80} is no move of {self.game.name}: {error}") from None
        legal = self.legal_actions
        if action not in legal:
            names = " ".join(map(self.game.action_name, legal[:_MAX_LISTED_MOVES]))
            more = " ..." if len(legal) > _MAX_LISTED_MOVES else ""
            raise UserError(f"{move!r:.80} is not legal here. Legal moves: {names}{more}")
        return action

    # ------------------------------------------------------------------ how it looks

    def svg(self, shares: Mapping[str, float] | None = None) -> str:
        """Return a picture of the board, as the text of an SVG file.

        shares: of legal moves by name, in [0, 1], drawn as a heat map with percentages.
        """
        before = None if self.parent is None else self.parent.array
        heat = {self._action(name): share for name, share in (shares or {}).items()}
        return picture_of(Scene(self.game, self.array, before, self.actions), heat)

    def _repr_svg_(self) -> str:
        return self.svg()

    def __str__(self) -> str:
        last = self.actions[-1] if self.actions else None
        return self.game.render(self.array, last)

    def __repr__(self) -> str:
        moves = " ".join(self.moves)
        return f"<Position of {describe_game(self.game)}: {moves or 'the start'}>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Position):
            return NotImplemented
        is_same_game = self.game is other.game or (
            (self.game.source, describe_game(self.game))
            == (other.game.source, describe_game(other.game))
        )
        return is_same_game and bool(np.array_equal(self.array, other.array))

    def __hash__(self) -> int:
        return hash((self.game.name, self.array.tobytes()))

    def __reduce__(self) -> tuple[object, ...]:
        return _unpickled, (self.game.arguments, self.actions)


def _start(game: Game) -> Position:
    position = object.__new__(Position)
    position._set(game, game.initial_position(), (), None)
    return position


def _unpickled(arguments: dict[str, object], actions: tuple[int, ...]) -> Position:
    from ddpzero.games import load_game

    return Position(load_game(**arguments), actions)  # type: ignore[arg-type]
