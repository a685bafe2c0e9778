"""AlphaZero as a thinker for play and analysis: an open-ended search, and what other heads of the network expect."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from torch import nn

from ddpzero.algorithms.alphazero.evaluation import NetworkEvaluation
from ddpzero.evaluators.answers import EvaluationError
from ddpzero.evaluators.batch_cost import positions_together
from ddpzero.evaluators.network import NetworkEvaluator
from ddpzero.games import Game
from ddpzero.games.core.players import Thoughts
from ddpzero.networks.precision import Precision
from ddpzero.search.settings import SearchSettings
from ddpzero.search.thinking import MOST_LEAVES, Thinking, thinking_size_bytes
from ddpzero.system.memory import Factor, require_memory


class AlphaZeroThinker:
    """See Thinker."""

    def __init__(
        self,
        game: Game,
        network: nn.Module,
        settings: SearchSettings,
        name: str,
        device: str,
        precision: Precision,
        max_simulations: int,
    ) -> None:
        """Raises UserError if memory is too small for so many simulations."""
        simulations = Factor("simulations ", max_simulations, 100)
        size_bytes = thinking_size_bytes(game, settings, max_simulations)
        require_memory("to think about one position", size_bytes, (simulations,))
        self.max_simulations = max_simulations
        self._name = name
        evaluator = NetworkEvaluator(
            network,
            game,
            max_batch=MOST_LEAVES,
            device=device,
            precision=precision,
            points_scale=settings.points_scale(game),
        )
        together = positions_together(network, game, device, MOST_LEAVES)
        self._thinking = Thinking(game, settings, max_simulations, evaluator, together)
        self._outlook = Outlook(network, game, device)

    @property
    def visits(self) -> int:
        return self._thinking.visits

    @property
    def lead(self) -> int:
        return self._thinking.lead

    def begin(self, position: np.ndarray, bans: np.ndarray | None = None) -> None:
        self._thinking.begin(position, bans)

    def advance(self, action: int) -> None:
        self._thinking.advance(action)

    def think(self, num_simulations: int, until: float = math.inf) -> bool:
        try:
            return self._thinking.think(num_simulations, until)
        except EvaluationError:
            raise EvaluationError(
                f"the network of {self._name} answered with numbers that are not finite: its weights are unusable."
            ) from None

    def thoughts(self) -> Thoughts:
        thoughts = self._thinking.thoughts()
        score, ownership = self._outlook.of(self._thinking.position)
        if thoughts.score is None:
            thoughts = replace(thoughts, score=score)
        return replace(thoughts, ownership=ownership)


class Outlook:
    """What the heads "score" and "ownership" expect of a position, which it remembers until it is asked for another."""

    def __init__(self, network: nn.Module, game: Game, device: str) -> None:
        self._evaluation = NetworkEvaluation(network, game, device)
        self._known: tuple[bytes, float | None, np.ndarray | None] = b"", None, None

    def of(self, position: np.ndarray) -> tuple[float | None, np.ndarray | None]:
        """Return the expected score margin of the mover, and its ownership `[B]` float32 in [-1, 1] of each cell.

        None for what the network does not know.
        """
        key = position.tobytes()
        if self._known[0] != key:
            score, ownership = self._evaluation.outlook(position[None])
            self._known = (
                key,
                None if score is None else float(score[0]),
                None if ownership is None else ownership[0],
            )
        return self._known[1:]
