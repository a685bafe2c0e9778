"""The compiled way of a batch through a network on a CPU gives what torch's operators give."""

import numpy as np
import pytest
import torch
from plain_networks import random_observations, trained_looking_network

from ddpzero.evaluators.cpu_kernels import write_outcomes
from ddpzero.evaluators.cpu_slot import CpuSlot
from ddpzero.evaluators.inference import InferenceNetwork
from ddpzero.games import Game, load_game
from ddpzero.networks import unpack_observations

GAMES = [
    ("tic_tac_toe", {}),
    ("connect_four", {}),
    ("gomoku", {}),
    ("dots_and_boxes", {}),
    ("go", {"size": 9}),
]


class Remembering(InferenceNetwork):
    """Remembers the planes that it is asked about."""

    def heads(self, planes):
        self.planes_seen = planes.clone()
        return super().heads(planes)


def remembering(game: Game, dtype: torch.dtype) -> Remembering:
    return Remembering(trained_looking_network(game), game, torch.device("cpu"), dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize(("name", "parameters"), GAMES)
def test_planes_are_those_of_unpack_observations_bit_by_bit(name, parameters, dtype):
    game = load_game(name, **parameters)
    # Heads alone are asked for planes: the processor need not compute in this dtype.
    network = remembering(game, torch.float32)
    network.dtype = dtype
    slot = CpuSlot(network, 20)
    rng = np.random.default_rng(1)
    packed = rng.integers(0, 256, (20, game.observation_size_bytes), np.uint8)
    slot.observations[:] = packed
    seen = {}
    network.heads = lambda planes: (
        seen.update(planes=planes.clone())
        or (
            torch.zeros(len(planes), game.num_actions),
            torch.zeros(len(planes), 3),
            None,
        )
    )
    for num_positions in (20, 3, 20):
        slot.submit(num_positions)
        wanted = unpack_observations(torch.from_numpy(packed), game, dtype, torch.channels_last)
        assert seen["planes"].dtype == dtype
        assert seen["planes"].is_contiguous(memory_format=torch.channels_last)
        assert torch.equal(seen["planes"][:num_positions], wanted[:num_positions])


def test_each_batch_has_its_own_answers():
    game = load_game("connect_four")
    network = remembering(game, torch.float32)
    slot = CpuSlot(network, 16)
    observations = random_observations(game, 16)
    for rows in (slice(0, 16), slice(3, 8), slice(8, 16), slice(4, 5)):
        part = observations[rows]
        slot.observations[: len(part)] = part
        slot.submit(len(part))
        logits, outcomes = slot.collect()
        wanted, chances = network.evaluate(torch.from_numpy(part))
        np.testing.assert_allclose(logits, wanted, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(outcomes[:, :3], chances, rtol=1e-4, atol=1e-5)


def test_outcomes_are_the_softmax_of_value_logits():
    logits = torch.tensor([[0, 0, 0], [100, -100, 3], [-1e30, 1e30, 0], [2, 1, -5]]).float()
    outcomes = np.full((4, 4), 7, np.float32)
    write_outcomes(logits.numpy(), outcomes)
    np.testing.assert_allclose(outcomes[:, :3], torch.softmax(logits, 1), atol=1e-6)
    assert (outcomes[:, 3] == 7).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_an_infinite_logit_does_not_become_a_chance(bad):
    outcomes = np.zeros((1, 4), np.float32)
    write_outcomes(np.array([[0, bad, 0]], np.float32), outcomes)
    assert not np.isfinite(outcomes[0, :3]).all()
