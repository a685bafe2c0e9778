"""Facts about what a batch costs beside its positions."""

from __future__ import annotations

from torch import nn

from ddpzero.evaluators.batch_cost import multiply_adds, positions_together
from ddpzero.games import load_game
from ddpzero.networks import NetworkSettings, SymmetryAverage, make_network


def network_of(game, **settings):
    return make_network(game, NetworkSettings(**settings))


def test_multiplications_and_additions_are_those_of_the_layers():
    game = load_game("tic_tac_toe")
    plain = nn.Sequential(
        nn.Conv2d(game.num_inputs, 5, 3, padding=1), nn.Flatten(), nn.Linear(45, 2)
    )
    assert multiply_adds(plain, game) == 9 * game.num_inputs * 5 * 9 + 45 * 2
    network = network_of(game, blocks=2, channels=16)
    tower = 9 * 9 * (game.num_inputs * 16 + 4 * 16 * 16)
    assert tower < multiply_adds(network, game) < 1.3 * tower
    num_views = len(game.spec.cell_symmetries)
    average = SymmetryAverage(network, game)
    assert multiply_adds(average, game) == num_views * multiply_adds(network, game)


def test_counting_leaves_the_network_as_it_was():
    game = load_game("tic_tac_toe")
    network = network_of(game, blocks=1, channels=8)
    multiply_adds(network, game)
    assert not any(module._forward_hooks for module in network.modules())
    assert all(parameter.requires_grad for parameter in network.parameters())


def test_a_small_network_evaluates_many_positions_together():
    game = load_game("connect_four")
    counts = [
        positions_together(network_of(game, blocks=b, channels=c), game, "cpu", most=32)
        for b, c in ((1, 8), (3, 32), (4, 64), (10, 128))
    ]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] == 32 and 16 <= counts[1] < 32 and 1 < counts[2] < 8 and counts[3] == 1
    large = network_of(game, blocks=10, channels=128)
    assert positions_together(large, game, "cuda:0", most=32) == 32
    assert positions_together(large, game, "mps", most=32) == 32
