"""Actor and critic of DDPG: what they are at first, and what depends on what."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import softmax

from ddpzero.algorithms.ddpg.networks import TorusBody, as_input, masked
from ddpzero.algorithms.ddpg.settings import DDPGSettings
from tests.algorithms.ddpg.harness import NETWORKS, NUM_ACTIONS, networks_of, small_snakes

EVERY_ACTION = torch.eye(NUM_ACTIONS)
LEGAL = torch.tensor([[True, True, False, True], [False, True, False, False]])


@pytest.fixture(autouse=True)
def same_draws() -> None:
    torch.manual_seed(3)


def test_illegal_choices_have_no_probability_and_no_gradient():
    logits = torch.tensor([[0.0, 1.0, 1e6, 2.0], [1e6, -50.0, 1e6, 1e6]], requires_grad=True)
    policy = softmax(masked(logits, LEGAL), dim=1)
    assert (policy[~LEGAL] == 0).all()
    torch.testing.assert_close(policy[0, LEGAL[0]], softmax(torch.tensor([0.0, 1.0, 2.0]), dim=0))
    assert policy[1, 1] == 1
    policy[:, 1].sum().backward()
    assert logits.grad is not None
    assert (logits.grad[~LEGAL] == 0).all() and (logits.grad[0, LEGAL[0]] != 0).all()


@pytest.mark.parametrize("observation", ["features", "planes"])
def test_at_first_all_legal_choices_are_as_likely(observation: str):
    game, settings = small_snakes(), DDPGSettings(observation=observation)
    actor = networks_of(game, settings)["actor"]
    shape = (game.spec.num_planes, 6, 8) if observation == "planes" else (game.spec.num_features,)
    policy = softmax(masked(actor(torch.randn(2, *shape)), LEGAL), dim=1)
    expected = torch.tensor([[1 / 3, 1 / 3, 0, 1 / 3], [0, 1, 0, 0]])
    torch.testing.assert_close(policy, expected)


def test_planes_arrive_as_numbers_up_to_one_and_features_as_they_are():
    planes = as_input(torch.tensor([0, 51, 255], dtype=torch.uint8))
    torch.testing.assert_close(planes, torch.tensor([0.0, 0.2, 1.0]))
    features = as_input(torch.tensor([-3.5, 4.0], dtype=torch.float16))
    assert features.dtype == torch.float32 and features.tolist() == [-3.5, 4.0]


@pytest.mark.parametrize(("down", "right"), [(2, 0), (0, 2), (-4, 6)])
def test_the_torus_has_no_edges_for_a_body(down: int, right: int):
    """It halves the board: what moves by two cells, moves by one behind it."""
    body = TorusBody(3, (6, 8), channels=4)
    planes = torch.rand(2, 3, 6, 8)
    seen = body(planes).view(2, -1, 3, 4)
    seen_moved = body(planes.roll((down, right), (2, 3))).view(2, -1, 3, 4)
    torch.testing.assert_close(seen_moved, seen.roll((down // 2, right // 2), (2, 3)))
    assert not torch.allclose(seen_moved, seen)


@pytest.mark.parametrize("board_shape", [(6, 8), (5, 8), (3, 3), (10, 20)])
def test_a_body_is_as_large_as_it_says_on_odd_boards_too(board_shape: tuple[int, int]):
    body = TorusBody(2, board_shape, channels=4)
    assert body(torch.rand(5, 2, *board_shape)).shape == (5, body.size)


def test_every_cell_reaches_the_torus_body():
    body = TorusBody(1, (6, 8), channels=8)
    planes = torch.rand(1, 1, 6, 8, requires_grad=True)
    body(planes).sum().backward()
    assert planes.grad is not None and (planes.grad != 0).all()


@pytest.mark.parametrize("observation", ["features", "planes"])
def test_twins_start_apart_and_share_no_parameter_but_those_of_the_body(observation: str):
    game, settings = small_snakes(), DDPGSettings(observation=observation)
    critic = networks_of(game, settings)["critic"]
    shape = (game.spec.num_planes, 6, 8) if observation == "planes" else (game.spec.num_features,)
    first, second = critic(torch.rand(3, *shape), None, EVERY_ACTION.expand(3, -1, -1))
    assert (first != second).all()
    of_first, of_second = moved_by(critic, first), moved_by(critic, second)
    names = {name for name, _ in critic.named_parameters()}
    assert of_first | of_second == names
    assert of_first & of_second == {name for name in names if name.startswith("body.")}
    assert (observation == "planes") == bool(of_first & of_second)


def moved_by(critic: nn.Module, estimate: Tensor) -> set[str]:
    """The parameters that an estimate depends on."""
    critic.zero_grad()
    estimate.sum().backward(retain_graph=True)
    gradients = {name: parameter.grad for name, parameter in critic.named_parameters()}
    return {name for name, grad in gradients.items() if grad is not None and grad.any()}


def test_without_twins_there_is_one_estimate():
    game = small_snakes()
    critic = networks_of(game, DDPGSettings(twin_critics=False))["critic"]
    seen = torch.rand(3, game.spec.num_features)
    assert critic(seen, None, EVERY_ACTION.expand(3, -1, -1)).shape == (1, 3, NUM_ACTIONS)


def test_asking_about_all_actions_is_asking_about_each():
    game = small_snakes()
    critic = networks_of(game, DDPGSettings())["critic"]
    seen = torch.rand(3, game.spec.num_features)
    together = critic(seen, None, EVERY_ACTION.expand(3, -1, -1))
    assert together.shape == (2, 3, NUM_ACTIONS)
    torch.testing.assert_close(critic(seen, None, None), together)
    torch.testing.assert_close(critic(seen, None, None, first_only=True), together[:1])
    for choice, action in enumerate(EVERY_ACTION):
        alone = critic(seen, None, action.expand(3, 1, -1))
        torch.testing.assert_close(alone[..., 0], together[..., choice])
    assert (together.std(dim=2) > 0).all(), "the action counts"


@pytest.mark.parametrize("snakes", [2, 4])
def test_a_centralized_critic_sees_and_hears_of_every_mate(snakes: int):
    """Its context: of each mate what it sees and its action. A snake alone has no mates."""
    game, settings = small_snakes(snakes=snakes), DDPGSettings(centralized_critic=True)
    critic = networks_of(game, settings)["critic"]
    size = game.spec.num_features
    num_mates = snakes // 2 - 1
    seen, context = torch.rand(3, size), torch.rand(3, num_mates * (size + NUM_ACTIONS))
    context.requires_grad_()
    estimates = critic(seen, context if num_mates else None, EVERY_ACTION.expand(3, -1, -1))
    assert estimates.shape == (2, 3, NUM_ACTIONS)
    if num_mates:
        estimates.sum().backward()
        assert context.grad is not None and (context.grad != 0).all()


def test_the_name_of_a_model_tells_its_size():
    assert NETWORKS["features"].size_tag == "h2x16"
    assert NETWORKS["planes"].size_tag == "c4h1x16"
