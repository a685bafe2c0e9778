"""AlphaZero's network for other programs: heads as named outputs, probabilities where players need them.

Only what a player uses is exported: heads that merely help the training are left out. Letters: B batch, C planes,
H x W board, A actions, M the largest score, N cells that can be owned.
"""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import torch
from torch import Tensor, nn

from ddpzero.algorithms.alphazero.settings import AlphaZeroSettings
from ddpzero.algorithms.base import Exportable, TensorFacts
from ddpzero.games import Game
from ddpzero.networks.network import PolicyValueNetwork
from ddpzero.networks.observations import unpack_observations
from ddpzero.networks.settings import NetworkSettings
from ddpzero.search import SearchSettings

_EXPORTED_HEADS = ("score", "ownership")
# Random episodes go on for so many plies: into the middle of a large board, to the end of a small one.
_MAX_PLIES = 60


class ExportedNetwork(nn.Module):
    """planes `[B, C, H, W]` -> policy logits `[B, A]`, value `[B, 3]`, then score `[B, 2 * M + 1]`, ownership `[B, N]`.

    The last two only of a network that has these heads.
    """

    def __init__(self, network: PolicyValueNetwork):
        super().__init__()
        self.network = network
        self.heads = [head for head in _EXPORTED_HEADS if head in network.auxiliary]

    def forward(self, planes: Tensor) -> tuple[Tensor, ...]:
        policy_logits, value_logits, *rest = self.network(planes, self.heads)
        outputs = [policy_logits, torch.softmax(value_logits, dim=1)]
        if "score" in self.heads:
            outputs.append(torch.softmax(rest[0]["score"], dim=1))
        if "ownership" in self.heads:
            outputs.append(2.0 * torch.sigmoid(rest[0]["ownership"]) - 1.0)
        return tuple(outputs)


def exportable(
    game: Game,
    network: PolicyValueNetwork,
    size: NetworkSettings,
    settings: AlphaZeroSettings,
    search: SearchSettings,
) -> Exportable:
    """Return a trained network for other programs. size: its own. search: that trained it."""
    exported = ExportedNetwork(network.eval())

    def sample_inputs(num_positions: int, rng: np.random.Generator) -> Tensor:
        positions = game.random_positions(num_positions, rng, min(game.spec.max_plies, _MAX_PLIES))
        packed = np.stack([game.packed_observation(position) for position in positions])
        return unpack_observations(torch.from_numpy(packed), game)

    return Exportable(
        network=exported,
        input=TensorFacts("planes", (game.num_inputs, *game.board_shape), _meaning_of_planes(game)),
        outputs=_outputs(game, exported.heads),
        sample_inputs=sample_inputs,
        facts={
            "kind": size.name,
            "blocks": size.blocks,
            "channels": size.channels,
            **({"num_heads": size.num_heads} if size.name == "attention" else {}),
            "pooling_interval": size.pooling_interval,
            "value_head": size.value_head,
            "heads": ["policy", "value", *exported.heads],
            "play_averages_symmetries": settings.play_averages_symmetries,
            "num_symmetries": len(game.spec.cell_symmetries),
            "symmetries_note": (
                "The exported network evaluates one view of a position. With play_averages_symmetries the players of "
                "ddpzero average its answers over the num_symmetries views of the board, which is a little stronger."
            ),
            "search": asdict(search),
        },
    )


def _meaning_of_planes(game: Game) -> str:
    text = f"{game.num_planes} planes of zeros and ones from the mover's side; the game's description says what each is"
    if game.spec.num_globals:
        scales = game.spec.global_scales or (1.0,) * game.spec.num_globals
        text += (
            f"; then {game.spec.num_globals} planes that are the same everywhere: numbers about the whole board "
            f"(globals), multiplied by {', '.join(f'{scale:g}' for scale in scales)}"
        )
    return f"{text}. Row 0 is the first row of the board."


def _outputs(game: Game, heads: list[str]) -> tuple[TensorFacts, ...]:
    known = [
        TensorFacts(
            "policy_logits",
            (game.num_actions,),
            "logits of all actions, also of illegal ones: mask those, then softmax",
        ),
        TensorFacts("value", (3,), "probabilities of win, draw and loss for the mover"),
    ]
    if "score" in heads:
        most = game.spec.max_score
        known.append(
            TensorFacts(
                "score",
                (2 * most + 1,),
                f"probabilities of the mover's points minus the opponent's at the end, from {-most} to {most}",
            )
        )
    if "ownership" in heads:
        assert game.owner_cells is not None
        known.append(
            TensorFacts(
                "ownership",
                (len(game.owner_cells),),
                "the expected owner of each cell at the end: 1 the mover, -1 the opponent",
            )
        )
    return tuple(known)
