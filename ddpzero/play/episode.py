"""One running episode with its earlier positions, so that a person can take moves back."""

from __future__ import annotations

import numpy as np

from ddpzero.games import Game
from ddpzero.games.core.promises import TOO_LONG, require_no_fault


class PlayedEpisode:
    """The positions and actions of an episode from its start."""

    def __init__(self, game: Game):
        self.game = game
        self.actions: list[int] = []
        # The player who resigned.
        self.resigned: int | None = None
        # The player whose time was up.
        self.out_of_time: int | None = None
        self._positions = [game.initial_position()]

    @property
    def position(self) -> np.ndarray:
        return self._positions[-1]

    @property
    def last_action(self) -> int | None:
        return self.actions[-1] if self.actions else None

    @property
    def current_player(self) -> int:
        return self.game.current_player(self.position)

    @property
    def is_over(self) -> bool:
        return self.game.is_terminal(self.position)

    @property
    def is_finished(self) -> bool:
        """Whether the game is over by the rules, or by what a side did or failed to do."""
        return self.is_over or self.loser is not None

    @property
    def loser(self) -> int | None:
        """The player who resigned or ran out of time; None if nobody did."""
        return self.resigned if self.resigned is not None else self.out_of_time

    def legal_actions(self) -> list[int]:
        return self.game.possible_actions(self.position).tolist()

    def play(self, action: int) -> None:
        """Apply an action. Raises ValueError if it is illegal, GamePromiseError if the episode exceeds max_plies."""
        self._positions.append(self.game.apply_action(self.position, action))
        self.actions.append(action)
        if not self.is_over and len(self.actions) >= self.game.spec.max_plies:
            require_no_fault(self.game, TOO_LONG)

    def take_back_last(self) -> bool:
        """Take back the last move; return whether there was one."""
        if not self.actions:
            return False
        self.actions.pop()
        self._positions.pop()
        return True

    def take_back(self, player: int) -> bool:
        """Return to the last earlier position with `player` to move; return whether such a position exists."""
        for ply in reversed(range(len(self.actions))):
            if self.game.current_player(self._positions[ply]) == player:
                del self._positions[ply + 1 :], self.actions[ply:]
                return True
        return False
