"""Makes a thinker of any player that evaluates positions."""

from __future__ import annotations

import math

import numpy as np

from ddpzero.games import Game
from ddpzero.games.core.players import Analyst, MoveThought, Player, Thinker, Thoughtful, Thoughts
from ddpzero.system.errors import UserError, require

# Smaller shares of a player's preference are none.
_LEAST_SHARE = 1e-6


def thinker_of(player: Player, game: Game, max_simulations: int) -> Thinker:
    """Return a thinker for a player. max_simulations: of one position, for players that search as long as asked.

    Raises UserError if the player only chooses moves, or if memory is too small.
    """
    if isinstance(player, Thoughtful):
        return player.make_thinker(max_simulations)
    if isinstance(player, Analyst):
        return AnalystThinker(player, game)
    raise UserError(
        f"player {player.name} only chooses moves and says nothing about positions: name a run, a checkpoint, or "
        "rollout:N."
    )


class AnalystThinker:
    """A Thinker that evaluates a position once, however long it is asked to think.

    It can leave out moves of the position itself: its preference is shared among the others, and the result that it
    expects is still that of the position with all moves.
    """

    def __init__(self, player: Analyst, game: Game) -> None:
        # Visits of a player that does not count its simulations are shares of 100.
        self.max_simulations = int(getattr(player, "num_simulations", 100))
        self._player = player
        self._game = game
        self._rng = np.random.default_rng(0)
        self._position = game.initial_position()
        self._banned = np.zeros(game.num_actions, np.bool_)
        self._thoughts: Thoughts | None = None

    @property
    def visits(self) -> int:
        return 0 if self._thoughts is None else self._thoughts.visits

    @property
    def lead(self) -> int:
        return 0

    def begin(self, position: np.ndarray, bans: np.ndarray | None = None) -> None:
        require(
            bans is None or len(bans) == 1,
            f"player {self._player.name} evaluates one position at a time: no moves after the first can be left out.",
        )
        self._game.require_running(position[None])
        self._position = position.copy()
        mover = self._game.current_player(position)
        self._banned = (
            np.zeros(self._game.num_actions, np.bool_) if bans is None else bans[0, mover]
        )
        self._thoughts = None

    def advance(self, action: int) -> None:
        self.begin(self._game.apply_action(self._position, action))

    def think(self, num_simulations: int, until: float = math.inf) -> bool:
        if self._thoughts is None:
            self._thoughts = self._analyze()
        return False

    def thoughts(self) -> Thoughts:
        if self._thoughts is None:
            self._thoughts = self._analyze()
        return self._thoughts

    def _analyze(self) -> Thoughts:
        analysis = self._player.analyze(self._position[None], self._rng)
        policy, chosen = analysis.policy[0], int(analysis.actions[0])
        value, num_simulations = float(analysis.value[0]), self.max_simulations
        legal = self._game.possible_actions(self._position)
        allowed = legal[~self._banned[legal]]
        if 0 < len(allowed) < len(legal):
            policy = _shared_among(allowed, policy)
            legal, chosen = allowed, chosen if chosen in allowed else int(policy.argmax())
        rank = np.lexsort((-policy[legal], legal != chosen))
        moves = tuple(
            MoveThought(
                action=int(action),
                visits=round(float(policy[action]) * num_simulations),
                value=value,
                prior=float(policy[action]),
                score=None,
                line=(int(action),),
                is_proven=False,
                line_visits=(round(float(policy[action]) * num_simulations),),
            )
            for action in legal[rank]
            if policy[action] > _LEAST_SHARE or action == chosen
        )
        win, draw, loss = analysis.wdl[0].tolist()
        return Thoughts(
            moves=moves,
            visits=num_simulations,
            value=value,
            wdl=(win, draw, loss),
            policy=policy,
            score=None,
            is_proven=False,
        )


def _shared_among(actions: np.ndarray, policy: np.ndarray) -> np.ndarray:
    """Return a policy `[A]` of these actions alone: equal shares if they had none."""
    shares = np.zeros_like(policy)
    shares[actions] = policy[actions]
    if shares.sum() <= 0:
        shares[actions] = 1.0
    return shares / shares.sum()
