import numpy as np
import pytest
import torch

from ddpzero.games import load_game
from ddpzero.networks import unpack_observations

GAMES = [("tic_tac_toe", {}), ("connect_four", {}), ("connect_four", {"rows": 5, "columns": 5})]


def packed_and_planes(game, num_positions, seed=0):
    shape = (num_positions, game.num_planes, *game.board_shape)
    planes = np.random.default_rng(seed).integers(0, 2, shape, dtype=np.uint8)
    packed = np.packbits(planes.reshape(num_positions, -1), axis=1, bitorder="little")
    return torch.from_numpy(packed), torch.from_numpy(planes)


@pytest.mark.parametrize(("name", "parameters"), GAMES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_unpacking_undoes_packbits(name, parameters, dtype):
    game = load_game(name, **parameters)
    packed, planes = packed_and_planes(game, 9)
    unpacked = unpack_observations(packed, game, dtype)
    assert unpacked.dtype == dtype
    assert torch.equal(unpacked, planes.to(dtype))


def test_numbers_of_the_whole_board_become_planes_that_are_the_same_everywhere():
    game = load_game("go", size=5, komi=6.5)
    position = game.initial_position()
    for action in (12, 25):
        position = game.apply_action(position, action)
    assert game.observed_globals(position).tolist() == [-13, 1, 1]
    planes, packed = game.observation(position), game.packed_observation(position)
    assert len(packed) == game.observation_size_bytes
    unpacked = unpack_observations(torch.from_numpy(packed[None]), game)[0]
    assert torch.equal(unpacked[:-3], torch.from_numpy(planes).float())
    for plane, expected in zip(unpacked[-3:], (-13 / 30, 1.0, 1.0), strict=True):
        torch.testing.assert_close(plane, torch.full((5, 5), expected))


def test_planes_come_in_the_memory_format_asked_for():
    game = load_game("connect_four")
    packed, planes = packed_and_planes(game, 4)
    unpacked = unpack_observations(packed, game, memory_format=torch.channels_last)
    assert unpacked.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(unpacked, planes.float())


def test_planes_unpacked_after_inference_can_be_trained_on():
    game = load_game("connect_four")
    packed, _ = packed_and_planes(game, 2)
    with torch.inference_mode():
        unpack_observations(packed, game, torch.float64)
    weight = torch.ones((), dtype=torch.float64, requires_grad=True)
    (unpack_observations(packed, game, torch.float64) * weight).sum().backward()
    assert weight.grad is not None


@pytest.mark.gpu
def test_unpacking_stays_on_the_gpu():
    game = load_game("connect_four")
    packed, planes = packed_and_planes(game, 5)
    unpacked = unpack_observations(packed.cuda(), game, torch.bfloat16)
    assert unpacked.is_cuda
    assert torch.equal(unpacked.cpu(), planes.bfloat16())
