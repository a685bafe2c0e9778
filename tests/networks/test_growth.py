"""A grown network computes the same function, learns with all of its weights, and keeps its optimizers' states."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from ddpzero.games import load_game
from ddpzero.networks import NetworkSettings, make_network
from ddpzero.networks.growth import (
    grow_optimizers,
    grow_weights,
    largest_difference,
    new_network,
)
from ddpzero.networks.optimizers import make_optimizers
from ddpzero.settings import LearnerSettings
from ddpzero.system.errors import UserError

HEADS = ("score", "ownership", "next_policy")
GROWTHS = {
    "depth": (NetworkSettings(blocks=2, channels=8), {"blocks": 5}),
    "width": (NetworkSettings(blocks=3, channels=6), {"channels": 13}),
    "both, dense": (
        NetworkSettings(blocks=2, channels=8, value_head="dense"),
        {"blocks": 3, "channels": 12},
    ),
    "pooling": (NetworkSettings(blocks=2, channels=6, pooling_interval=1), {"channels": 16}),
    "nested": (
        NetworkSettings("nested_bottleneck", blocks=2, channels=7, pooling_interval=2),
        {"blocks": 4, "channels": 16},
    ),
    "attention, odd": (
        NetworkSettings("attention", blocks=3, channels=16, num_heads=2),
        {"blocks": 4},
    ),
    "attention, even": (
        NetworkSettings("attention", blocks=4, channels=16, num_heads=2, pooling_interval=3),
        {"blocks": 8},
    ),
}


def trained(game, settings, auxiliary=()):
    """A network whose parameters are all different from those of a new one."""
    network = make_network(game, settings, auxiliary)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return network


def grown(network, game, small, large, auxiliary=()):
    result = new_network(game, large, auxiliary, seed=1)
    weights = grow_weights(network.state_dict(), result.state_dict(), small, large)
    result.load_state_dict(weights)
    return result


def random_planes(game, num_positions=8):
    return torch.randint(0, 2, (num_positions, game.num_inputs, *game.board_shape)).float()


@pytest.mark.parametrize("case", GROWTHS)
@pytest.mark.parametrize("name", ["connect_four", "dots_and_boxes", "go"])
def test_a_grown_network_computes_the_same_function(case, name):
    small, changes = GROWTHS[case]
    large = replace(small, **changes)
    small.check_growth(large)
    torch.manual_seed(0)
    game = load_game(name, **({"size": 5} if name == "go" else {}))
    heads = HEADS if game.has_score else ("next_policy",)
    network = trained(game, small, heads)
    larger = grown(network, game, small, large, heads)
    planes = random_planes(game)
    assert largest_difference(network, larger, planes, heads) < 3e-5
    assert largest_difference(network, trained(game, small, heads), planes, heads) > 0.1


@pytest.mark.parametrize("case", GROWTHS)
def test_all_weights_of_a_grown_network_come_to_matter(case):
    small, changes = GROWTHS[case]
    large = replace(small, **changes)
    torch.manual_seed(0)
    game = load_game("connect_four")
    network = grown(trained(game, small), game, small, large)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    planes = random_planes(game, 32)
    for _ in range(6):
        optimizer.zero_grad()
        sum((logits * torch.randn_like(logits)).mean() for logits in network(planes)).backward()
        optimizer.step()
    for name, parameter in network.named_parameters():
        if name.startswith("tower") and parameter.ndim > 1:
            # Each output, also of a new channel or block, has moved.
            moved = (parameter != before[name]).flatten(1).any(1)
            assert moved.float().mean() > 0.5, name


@pytest.mark.parametrize("optimizer", ["adamw", "muon", "sgd"])
def test_the_optimizers_keep_their_states_of_the_old_entries(optimizer):
    small, large = NetworkSettings(blocks=1, channels=8), NetworkSettings(blocks=2, channels=12)
    torch.manual_seed(0)
    game, learner = load_game("tic_tac_toe"), LearnerSettings(optimizer=optimizer)
    network = trained(game, small)
    larger = grown(network, game, small, large)
    old, new = make_optimizers(network, learner), make_optimizers(larger, learner)
    for _ in range(3):
        sum(logits.square().mean() for logits in network(random_planes(game))).backward()
        for one in old:
            one.step()
    grow_optimizers(network, larger, old, new, small, large)
    entries = {id(p): entry for one in new for p, entry in one.state.items()}
    before = {id(p): entry for one in old for p, entry in one.state.items()}
    for name in ("stem.weight", "tower.0.outer.weight", "policy.features.weight", "stem.bias"):
        ours = entries[id(larger.get_parameter(name))]
        theirs = before[id(network.get_parameter(name))]
        assert ours.keys() == theirs.keys()
        for key, value in theirs.items():
            old_part = ours[key][tuple(slice(size) for size in value.shape)]
            assert torch.equal(old_part, value), (name, key)
            if key != "step" and name == "stem.bias":
                filling = float(value.mean()) if key == "exp_avg_sq" else 0.0
                assert ours[key][8:].tolist() == pytest.approx([filling] * 4)
    if optimizer != "sgd":
        assert id(larger.get_parameter("tower.1.inner.weight")) not in entries
    for _ in range(2):
        sum(logits.square().mean() for logits in larger(random_planes(game))).backward()
        for one in new:
            one.step()


@pytest.mark.parametrize(
    ("small", "large", "told"),
    [
        ({}, {"name": "nested_bottleneck"}, "network.name=nested_bottleneck cannot follow resnet"),
        ({}, {"value_head": "dense"}, "network.value_head=dense cannot follow pooled"),
        ({}, {"pooling_interval": 2}, "network.pooling_interval=2 cannot follow 3"),
        ({"channels": 16}, {"channels": 8}, "network.channels=8 is below 16"),
        ({"blocks": 3}, {"blocks": 2}, "network.blocks=2 is below 3"),
        (
            {"name": "attention", "channels": 16},
            {"name": "attention", "channels": 32},
            "can grow only in blocks",
        ),
        ({"name": "attention", "blocks": 4}, {"name": "attention", "blocks": 5}, "an even number"),
        ({}, {}, "make one of them larger"),
    ],
)
def test_what_cannot_grow_is_refused_with_a_sentence(small, large, told):
    before = NetworkSettings(**small)
    with pytest.raises(UserError, match=told):
        before.check_growth(replace(before, **large))


def test_weights_of_another_board_or_with_other_heads_are_refused():
    small, large = NetworkSettings(blocks=1, channels=8, value_head="dense"), None
    large = replace(small, channels=12)
    board = load_game("connect_four")
    other = load_game("connect_four", rows=5)
    weights = make_network(other, small).state_dict()
    with pytest.raises(ValueError, match="other games or boards"):
        grow_weights(weights, make_network(board, large).state_dict(), small, large)
    weights = make_network(board, small).state_dict()
    with pytest.raises(ValueError, match="other heads"):
        fresh = make_network(board, large, ("next_policy",)).state_dict()
        grow_weights(weights, fresh, small, large)


def test_the_weights_of_a_new_network_depend_on_their_seed_alone():
    game, settings = load_game("tic_tac_toe"), NetworkSettings(blocks=1, channels=8)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first, other = (new_network(game, settings, (), seed).state_dict() for seed in (1, 2))
    assert torch.equal(torch.rand(3), expected)
    again = new_network(game, settings, (), 1).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["stem.weight"], other["stem.weight"])
