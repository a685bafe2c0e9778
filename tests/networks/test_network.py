import numpy as np
import pytest
import torch

from ddpzero.games import load_game
from ddpzero.games.core.embedding import embed_board
from ddpzero.networks import NetworkSettings, make_network, unpack_observations
from ddpzero.networks.blocks import AttentionBlock, NestedBottleneckBlock, ResidualBlock

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


@pytest.mark.parametrize(
    "make_block",
    [
        lambda: ResidualBlock(8, num_blocks=3),
        lambda: ResidualBlock(8, num_blocks=3, pools=True),
        lambda: NestedBottleneckBlock(8, num_blocks=3, pools=True),
        lambda: AttentionBlock(8, num_heads=2, board_shape=(4, 4)),
    ],
    ids=["residual", "pooling", "nested", "attention"],
)
def test_a_block_starts_as_the_identity_and_every_parameter_comes_to_matter(make_block):
    torch.manual_seed(0)
    block = make_block()
    features = torch.rand(2, 8, 4, 4)  # not negative, as they leave a rectifier
    assert torch.equal(block(features), features)
    optimizer = torch.optim.SGD(block.parameters(), lr=0.01)
    for _ in range(4):
        optimizer.zero_grad()
        (block(features) * torch.randn(2, 8, 4, 4)).sum().backward()
        optimizer.step()
    assert all(parameter.grad.abs().max() > 0 for parameter in block.parameters())


@pytest.mark.parametrize("pools", [True, False])
def test_a_pooling_block_tells_each_cell_of_the_whole_board(pools):
    torch.manual_seed(0)
    block = as_after_training(ResidualBlock(8, num_blocks=1, pools=pools))
    features = torch.rand(1, 8, 9, 9).double()
    changed = features.clone()
    changed[0, :, 0, 0] += 5.0
    far_cell = (block(features) - block(changed))[0, :, 8, 8]
    assert bool(far_cell.abs().max() > 1e-6) is pools


def test_attention_sees_where_cells_lie_relative_to_each_other():
    torch.manual_seed(0)
    block = as_after_training(AttentionBlock(8, num_heads=2, board_shape=(5, 5)))
    features = torch.rand(1, 8, 5, 5).double()
    swapped = features.clone()
    swapped[0, :, 0, 0], swapped[0, :, 4, 3] = features[0, :, 4, 3], features[0, :, 0, 0]
    change = (block(features) - block(swapped))[0, :, 2, 2]
    assert change.abs().max() > 1e-6, "without places a cell could not tell"


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


def as_after_training(network):
    """Far from the start, where blocks are the identity and biases are zero."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return network.double()


def played_positions(game, num_positions, num_plies):
    """Packed observations `[n, bytes]` after random plies."""
    rng = np.random.default_rng(0)
    packed = []
    for _ in range(num_positions):
        position = game.initial_position()
        for _ in range(num_plies):
            if not game.is_terminal(position):
                legal = np.flatnonzero(game.legal_actions(position))
                position = game.apply_action(position, int(rng.choice(legal)))
        packed.append(game.packed_observation(position))
    return np.stack(packed)


SIZES = {
    "go": ({"size": 9}, {"size": 13}, {"size": 19}),
    "dots_and_boxes": (
        {"rows": 3, "columns": 4},
        {"rows": 2, "columns": 2},
        {"rows": 5, "columns": 5},
    ),
    "connect_four": (
        {"rows": 5, "columns": 6},
        {"rows": 6, "columns": 5},
        {"rows": 6, "columns": 7},
    ),
}


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize(
    "settings",
    [
        NetworkSettings(blocks=3, channels=16, pooling_interval=2),
        NetworkSettings("nested_bottleneck", blocks=2, channels=16, pooling_interval=1),
        NetworkSettings("attention", blocks=4, channels=16, num_heads=2, pooling_interval=3),
    ],
    ids=lambda settings: settings.name,
)
def test_a_position_is_judged_alike_alone_and_among_boards_of_other_sizes(name, settings):
    boards = [load_game(name, **parameters) for parameters in SIZES[name]]
    frame = boards[-1]
    heads = ("score", "ownership") if frame.has_score else ()
    heads += ("next_policy", "soft_policy", "short_value")
    torch.manual_seed(0)
    network = as_after_training(make_network(frame, settings, heads))
    embeddings = [embed_board(board, frame) for board in boards]
    packed = [played_positions(board, 3, num_plies=12) for board in boards]
    framed = [
        embedding.observations(rows) for embedding, rows in zip(embeddings, packed, strict=True)
    ]
    planes = unpack_observations(torch.from_numpy(np.concatenate(framed)), frame, torch.float64)
    on_board = torch.zeros(3, 3, 1, frame.board_shape[0] * frame.board_shape[1])
    for index, embedding in enumerate(embeddings):
        on_board[index, :, :, embedding.cells] = 1.0
    with torch.no_grad():
        policies, values, others = network(planes, heads, on_board.view(9, 1, *frame.board_shape))
        for index, (board, embedding) in enumerate(zip(boards, embeddings, strict=True)):
            alone = make_network(board, settings, heads).double()
            alone.load_state_dict(network.state_dict())
            own_planes = unpack_observations(torch.from_numpy(packed[index]), board, torch.float64)
            policy, value, own = alone(own_planes, heads)
            rows = slice(3 * index, 3 * index + 3)
            assert value.std(0).max() > 1e-3, "positions must differ for this to be a test"
            torch.testing.assert_close(values[rows], value)
            torch.testing.assert_close(policies[rows][:, embedding.actions], policy)
            torch.testing.assert_close(
                others["next_policy"][rows][:, embedding.actions], own["next_policy"]
            )
            assert own["short_value"].shape == (3, 3, 3)
            torch.testing.assert_close(others["short_value"][rows], own["short_value"])
            beside = np.setdiff1d(np.arange(frame.num_actions), embedding.actions)
            assert (policies[rows][:, beside] < -5000).all()
            if frame.has_score:
                torch.testing.assert_close(
                    others["ownership"][rows][:, embedding.owners], own["ownership"]
                )
                most, own_most = frame.spec.max_score, board.spec.max_score
                scores = others["score"][rows, most - own_most : most + own_most + 1]
                torch.testing.assert_close(scores, own["score"])
