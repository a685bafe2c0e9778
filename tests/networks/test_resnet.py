import pytest
import torch

from ddpzero.games import load_game
from ddpzero.networks import NetworkSettings, make_network
from ddpzero.networks.resnet import ResidualBlock

SMALL = NetworkSettings(blocks=2, channels=8)


def random_planes(game, num_positions):
    return torch.randint(0, 2, (num_positions, game.num_inputs, *game.board_shape)).float()


@pytest.mark.parametrize("name", ["tic_tac_toe", "connect_four", "gomoku"])
def test_every_game_gets_a_logit_per_action_and_three_outcomes(name):
    game = load_game(name)
    policy_logits, value_logits = make_network(game, SMALL)(random_planes(game, 3))
    assert policy_logits.shape == (3, game.num_actions)
    assert value_logits.shape == (3, 3)


def test_blocks_and_channels_set_the_size():
    network = make_network(load_game("connect_four"), NetworkSettings(blocks=5, channels=24))
    assert len(network.tower) == 5
    assert network.tower[0].inner.weight.shape == (24, 24, 3, 3)


def test_a_seed_determines_the_parameters():
    game = load_game("tic_tac_toe")
    states = []
    for _ in range(2):
        torch.manual_seed(3)
        states.append(make_network(game, SMALL).state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_a_block_starts_as_the_identity():
    features = torch.rand(2, 8, 4, 4)  # not negative, as they leave a rectifier
    assert torch.equal(ResidualBlock(8, num_blocks=3)(features), features)


def test_a_position_is_evaluated_alike_in_any_company():
    game = load_game("connect_four")
    network = make_network(game, SMALL).train()
    planes = random_planes(game, 8)
    policy_logits, value_logits = network(planes)
    alone_policy, alone_value = network(planes[:1])
    torch.testing.assert_close(policy_logits[:1], alone_policy)
    torch.testing.assert_close(value_logits[:1], alone_value)


def test_a_network_has_parameters_only_and_in_float32():
    network = make_network(load_game("connect_four"), SMALL)
    assert not list(network.buffers())
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}


def test_signals_keep_their_size_through_a_deep_tower():
    game = load_game("gomoku")
    torch.manual_seed(0)
    network = make_network(game, NetworkSettings(blocks=20, channels=32))
    policy_logits, value_logits = network(random_planes(game, 8))
    assert 0.01 < policy_logits.std() < 3.0
    assert 0.01 < value_logits.std() < 3.0


def test_a_few_updates_fit_a_batch():
    game = load_game("connect_four")
    torch.manual_seed(0)
    network = make_network(game, NetworkSettings(blocks=2, channels=16))
    planes = random_planes(game, 32)
    actions, outcomes = torch.randint(7, (32,)), torch.randint(3, (32,))
    optimizer = torch.optim.AdamW(network.parameters(), lr=4e-3)
    losses = []
    for _ in range(60):
        policy_logits, value_logits = network(planes)
        cross_entropy = torch.nn.functional.cross_entropy
        loss = cross_entropy(policy_logits, actions) + cross_entropy(value_logits, outcomes)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
