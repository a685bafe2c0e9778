"""What AlphaZero's network says of positions by itself: policy, value, score and ownership, without a search."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from ddpzero.games import Game
from ddpzero.games.core.players import Evaluations
from ddpzero.networks import SymmetryAverage, unpack_observations

# Positions in one batch.
_MAX_BATCH = 256


class NetworkEvaluation:
    """Evaluates positions with a network in float32. Letters: A num_actions, B entries of the game's board."""

    def __init__(self, network: nn.Module, game: Game, device: str) -> None:
        self._game = game
        self._device = torch.device(device)
        self._network = network.to(self._device).eval()
        # Averaged over symmetries, only the score would be known.
        self._plain = network.network if isinstance(network, SymmetryAverage) else network
        known = getattr(self._plain, "auxiliary", {})
        self._heads = [head for head in ("score", "ownership") if head in known]

    def evaluate(self, positions: np.ndarray) -> Evaluations:
        """Return what the network says of `positions` [n, P]. Raises ValueError if one of them is terminal."""
        self._game.require_running(positions)
        legal = np.stack([self._game.legal_actions(position) for position in positions])
        policy, wdl = self._policy_and_outcome(positions, legal)
        score, ownership = self.outlook(positions)
        return Evaluations(policy, wdl[:, 0] - wdl[:, 2], wdl, score, ownership)

    @torch.inference_mode()
    def _policy_and_outcome(
        self, positions: np.ndarray, legal: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """legal: `[n, A]` bool. Returns the policy `[n, A]` and the probabilities of win, draw and loss `[n, 3]`."""
        policies, outcomes = [], []
        for start in range(0, len(positions), _MAX_BATCH):
            rows = slice(start, start + _MAX_BATCH)
            policy_logits, value_logits = self._network(self._planes(positions[rows]))
            illegal = torch.from_numpy(~legal[rows]).to(self._device)
            masked = policy_logits.float().masked_fill(illegal, -torch.inf)
            policies.append(torch.softmax(masked, dim=1).cpu().numpy())
            outcomes.append(torch.softmax(value_logits.float(), dim=1).cpu().numpy())
        return np.concatenate(policies), np.concatenate(outcomes)

    @torch.inference_mode()
    def outlook(self, positions: np.ndarray) -> tuple[np.ndarray | None, np.ndarray | None]:
        """Return the score margin `[n]` and the ownership `[n, B]` that the network expects of `positions` [n, P].

        Both for the mover; None for what the network was not trained to know.
        """
        if not self._heads:
            return None, None
        found: dict[str, list[np.ndarray]] = {head: [] for head in self._heads}
        for start in range(0, len(positions), _MAX_BATCH):
            planes = self._planes(positions[start : start + _MAX_BATCH])
            _, _, others = self._plain(planes, self._heads)
            for head, read in (("score", _mean_score), ("ownership", _ownership)):
                if head in found:
                    found[head].append(read(others[head].float()).cpu().numpy())
        score, ownership = (
            np.concatenate(found[head]) if head in found else None
            for head in ("score", "ownership")
        )
        return score, ownership

    def _planes(self, positions: np.ndarray) -> Tensor:
        packed = np.stack([self._game.packed_observation(position) for position in positions])
        return unpack_observations(torch.from_numpy(packed).to(self._device), self._game)


def _mean_score(logits: Tensor) -> Tensor:
    """logits `[n, 2 * max_score + 1]` of the score margins from -max_score on. Returns `[n]`."""
    most = logits.shape[1] // 2
    margins = torch.arange(-most, most + 1, device=logits.device)
    return (torch.softmax(logits, dim=1) * margins).sum(dim=1)


def _ownership(logits: Tensor) -> Tensor:
    return 2.0 * torch.sigmoid(logits) - 1.0
