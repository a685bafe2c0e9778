"""The moves of one game, of which the first ones are on the board: undo goes back, and the others can be redone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ddpzero.games import Game


class GameLine:
    """See above. `actions` and `movers` are of the whole line, `at` is the number of moves on the board."""

    def __init__(self, game: Game, actions: Sequence[int] = (), at: int | None = None) -> None:
        """at: None for all of them. Raises ValueError for a move that is not legal."""
        self.game = game
        self.actions: list[int] = []
        self.movers: list[int] = []
        self.at = 0
        # The player who resigned in the position on the board.
        self.resigned: int | None = None
        self._positions = [game.initial_position()]
        for action in actions:
            self.play(action)
        if at is not None:
            self.go_to(at)

    @property
    def position(self) -> np.ndarray:
        return self._positions[self.at]

    @property
    def made(self) -> tuple[int, ...]:
        """The moves on the board."""
        return tuple(self.actions[: self.at])

    @property
    def previous_position(self) -> np.ndarray | None:
        return self._positions[self.at - 1] if self.at else None

    @property
    def final_position(self) -> np.ndarray:
        """The position after all moves of the line."""
        return self._positions[-1]

    @property
    def mover(self) -> int:
        return self.game.current_player(self.position)

    @property
    def is_over(self) -> bool:
        return self.resigned is not None or self.game.is_terminal(self.position)

    def play(self, action: int) -> None:
        """Make a move; those that could be redone are lost unless it is the first of them. Raises ValueError."""
        if self.resigned is not None:
            raise ValueError("the game is over: a player has resigned.")
        if self.game.is_terminal(self.position):
            raise ValueError("the game is over.")
        if self.at < len(self.actions) and self.actions[self.at] == action:
            self.at += 1
            return
        after = self.game.apply_action(self.position, action)
        mover = self.mover
        del self.actions[self.at :], self.movers[self.at :], self._positions[self.at + 1 :]
        self.actions.append(int(action))
        self.movers.append(mover)
        self._positions.append(after)
        self.at += 1

    def go_to(self, at: int) -> None:
        """Show the position after so many moves. Raises ValueError if there are fewer."""
        if not 0 <= at <= len(self.actions):
            raise ValueError(f"there are {len(self.actions)} moves: there is no position {at}.")
        self.at, self.resigned = at, None

    def go_back_to(self, players: Sequence[int]) -> bool:
        """Go back to the last position with one of the players to move; return whether there was one."""
        if self.resigned is not None:
            self.resigned = None
            return True
        for at in reversed(range(self.at)):
            if self.movers[at] in players:
                self.at = at
                return True
        return False

    def resign(self, player: int) -> None:
        """A player resigns. Raises ValueError if the game is over."""
        if self.is_over:
            raise ValueError("the game is over.")
        self.resigned = player

    @property
    def winner(self) -> int | None:
        """The winner of a game that is over; None for a draw."""
        if self.resigned is not None:
            return 1 - self.resigned
        first, second = self.game.returns(self.position)
        return None if first == second else int(second > first)
