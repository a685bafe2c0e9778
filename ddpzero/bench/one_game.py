"""How fast one position is searched, as in play: beside the searches of many games in lockstep, for `bench search`."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from torch import nn

from ddpzero.evaluators.batch_cost import positions_together
from ddpzero.evaluators.network import NetworkEvaluator
from ddpzero.games import Game
from ddpzero.networks.precision import Precision
from ddpzero.search import SearchSettings
from ddpzero.search.thinking import MOST_LEAVES, Thinking

_NUM_POSITIONS = 5000
# A tree that is kept may grow to the simulations of so many moves.
_TIMES_KEPT = 16


@dataclass(frozen=True)
class OneGameSample:
    """cpu_seconds: of this thread, for num_simulations. first_seconds: until there was a first thing to show."""

    num_simulations: int
    cpu_seconds: float
    first_seconds: float


class OneGame:
    """Moves of a single game, one after another."""

    def __init__(
        self,
        game: Game,
        settings: SearchSettings,
        network: nn.Module,
        device: str,
        precision: Precision,
        seed: int,
        keeps_tree: bool,
    ) -> None:
        """keeps_tree: each position follows from the one before by its best move and a reply, and what is known of it
        is kept, as in a match. A game begins, like each position otherwise, where nothing was seen before.
        """
        self._game = game
        self._num_simulations = settings.num_simulations
        self._keeps_tree = keeps_tree
        evaluator = NetworkEvaluator(
            network,
            game,
            max_batch=MOST_LEAVES,
            device=device,
            precision=precision,
            points_scale=settings.points_scale(game),
        )
        most = settings.num_simulations * (_TIMES_KEPT if keeps_tree else 1)
        together = positions_together(network, game, device, MOST_LEAVES)
        self._thinking = Thinking(game, settings, most, evaluator, together)
        self._rng = np.random.default_rng(seed + 1)
        self._positions = game.random_positions(_NUM_POSITIONS, self._rng)
        self._next = 0
        self._has_thought = False

    def sample(self, seconds: float) -> OneGameSample:
        """Make moves for some seconds, at least one with simulations. The choice of moves is not measured."""
        thinking, num_simulations, cpu_seconds = self._thinking, 0, 0.0
        first_seconds: list[float] = []
        until = time.perf_counter() + seconds
        while num_simulations == 0 or time.perf_counter() < until:
            moves = self._moves_to_next()
            started, cpu_started = time.perf_counter(), time.thread_time()
            if not moves:
                thinking.begin(self._positions[self._next % _NUM_POSITIONS])
            for action in moves:
                thinking.advance(action)
            thinking.think(0)
            thinking.thoughts()
            first_seconds.append(time.perf_counter() - started)
            known = thinking.visits
            thinking.think(self._num_simulations)
            thinking.thoughts()
            cpu_seconds += time.thread_time() - cpu_started
            num_simulations += thinking.visits - known
            self._has_thought = True
        return OneGameSample(num_simulations, cpu_seconds, float(np.median(first_seconds)))

    def _moves_to_next(self) -> tuple[int, ...]:
        """Return the best move and a reply to it; none if a position begins anew."""
        if self._keeps_tree and self._has_thought:
            game, best = self._game, self._thinking.thoughts().moves[0]
            after = game.apply_action(self._thinking.position, best.action)
            if not game.is_terminal(after):
                reply = self._reply(after, best.line)
                if not game.is_terminal(game.apply_action(after, reply)):
                    return best.action, reply
        self._next += 1
        return ()

    def _reply(self, position: np.ndarray, line: tuple[int, ...]) -> int:
        """Return, as often as not, what the agent expects, else any legal action."""
        if len(line) > 1 and self._rng.random() < 0.5:
            return line[1]
        return int(self._rng.choice(self._game.possible_actions(position)))
