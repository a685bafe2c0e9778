"""Facts about a network averaged over the symmetries of its game."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ddpzero.games import Game, load_game
from ddpzero.networks import NetworkSettings, SymmetryAverage, make_network

GAMES = pytest.mark.parametrize("name", ["connect_four", "tic_tac_toe"])


def random_network(game: Game) -> torch.nn.Module:
    """A small network whose every weight matters."""
    torch.manual_seed(3)
    network = make_network(game, NetworkSettings(blocks=1, channels=8)).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return network


def random_planes(game: Game, num_positions: int) -> torch.Tensor:
    shape = (num_positions, game.num_inputs, *game.board_shape)
    return torch.from_numpy(np.random.default_rng(1).integers(0, 2, shape).astype(np.float32))


@GAMES
@torch.no_grad()
def test_a_turned_position_gets_the_same_answer_turned(name: str):
    game = load_game(name)
    plain = random_network(game)
    network = SymmetryAverage(plain, game)
    planes = random_planes(game, 5)
    policy, value = network(planes)
    for cells, actions in zip(game.spec.cell_symmetries, game.spec.action_symmetries, strict=True):
        turned = planes.flatten(2)[:, :, torch.from_numpy(cells).long()].view_as(planes)
        turned_policy, turned_value = network(turned)
        torch.testing.assert_close(
            turned_policy, policy[:, torch.from_numpy(actions).long()], atol=1e-5, rtol=1e-5
        )
        torch.testing.assert_close(turned_value, value, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(plain(planes)[1].softmax(1), value.exp(), atol=1e-3)


@GAMES
@torch.no_grad()
def test_outcomes_are_the_mean_over_the_views(name: str):
    game = load_game(name)
    plain = random_network(game)
    planes = random_planes(game, 4)
    views = [
        planes.flatten(2)[:, :, torch.from_numpy(cells).long()].view_as(planes)
        for cells in game.spec.cell_symmetries
    ]
    expected = torch.stack([plain(view)[1].softmax(1) for view in views]).mean(0)
    torch.testing.assert_close(SymmetryAverage(plain, game)(planes)[1].exp(), expected)


def test_scores_are_the_mean_over_the_views():
    game = load_game("dots_and_boxes", rows=2, columns=2)
    torch.manual_seed(2)
    network = make_network(game, NetworkSettings(blocks=1, channels=8), ("score",)).eval()
    planes = torch.rand(3, game.num_inputs, *game.board_shape)
    with torch.no_grad():
        policy, value, others = SymmetryAverage(network, game)(planes, ("score",))
        views = [
            planes.flatten(2)[:, :, view].view_as(planes) for view in game.spec.cell_symmetries
        ]
        scores = [network(view, ("score",))[2]["score"].softmax(1) for view in views]
        alone_policy, alone_value = SymmetryAverage(network, game)(planes)
    torch.testing.assert_close(others["score"].exp(), torch.stack(scores).mean(0))
    assert torch.equal(policy, alone_policy) and torch.equal(value, alone_value)


@torch.no_grad()
def test_more_positions_than_a_cpu_evaluates_together_get_the_same_answers():
    game = load_game("dots_and_boxes", rows=2, columns=2)
    torch.manual_seed(2)
    plain = make_network(game, NetworkSettings(blocks=1, channels=8), ("score",)).eval()
    seen: list[int] = []
    plain.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    network, planes = SymmetryAverage(plain, game), random_planes(game, 21)
    policy, value, others = network(planes, ("score",))
    num_views = 21 * len(game.spec.cell_symmetries)
    assert sum(seen) == num_views > 128 and max(seen) == 64
    alone = [network(position[None], ("score",)) for position in planes]
    for index, name in enumerate(("policy", "value")):
        expected = torch.cat([answer[index] for answer in alone])
        torch.testing.assert_close((policy, value)[index], expected, msg=name)
    expected = torch.cat([answer[2]["score"] for answer in alone])
    torch.testing.assert_close(others["score"], expected)
