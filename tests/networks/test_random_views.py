"""Facts about random symmetric views of positions."""

from __future__ import annotations

import pytest
import torch

from ddpzero.evaluators.network import NetworkEvaluator
from ddpzero.games import load_game
from ddpzero.networks.random_views import RandomViews
from tests.evaluators.plain_networks import (
    evaluate,
    expected,
    random_observations,
    trained_looking_network,
)

CPU = torch.device("cpu")


@pytest.mark.parametrize("name", ["gomoku", "dots_and_boxes", "connect_four", "go"])
def test_what_a_view_says_of_its_actions_is_turned_back_to_the_positions(name):
    """A policy that copies a plane of the view is, turned back, that of the position."""
    game = load_game(name)
    views = RandomViews(game, CPU)
    planes = torch.randint(0, 2, (40, game.num_inputs, *game.board_shape)).float()
    symmetries = views.choose(planes)
    turned = views.turn(planes, symmetries)

    def policy(boards: torch.Tensor) -> torch.Tensor:
        if game.spec.action_cells is None:
            return boards[:, 0].sum(1)
        cells = torch.from_numpy(game.spec.action_cells).long()
        return torch.where(cells >= 0, boards[:, 0].flatten(1)[:, cells], 0.0)

    assert torch.equal(views.turn_back(policy(turned), symmetries), policy(planes))
    assert not torch.equal(turned, planes)


def test_all_symmetries_are_drawn_about_equally_and_a_position_always_has_the_same():
    game = load_game("gomoku", size=9)
    views = RandomViews(game, CPU)
    planes = torch.randint(0, 2, (4000, game.num_inputs, 9, 9)).float()
    symmetries = views.choose(planes)
    counts = torch.bincount(symmetries, minlength=8)
    assert 400 < counts.min() <= counts.max() < 600
    assert torch.equal(views.choose(planes.flip(0)).flip(0), symmetries)


def test_an_evaluator_with_random_views_answers_for_the_position_that_it_was_asked_about():
    game = load_game("connect_four")
    network = trained_looking_network(game)
    observations = random_observations(game, 32)
    plain, turned = (
        NetworkEvaluator(network, game, 32, precision="float32", random_symmetry=random)
        for random in (False, True)
    )
    logits, outcomes = (part.copy() for part in evaluate(plain, observations))
    view_logits, view_outcomes = (part.copy() for part in evaluate(turned, observations))
    differs = abs(logits - view_logits).max(axis=1) > 1e-3
    assert 5 < differs.sum() < 27, "half of the positions are seen in a mirror"
    same = ~differs
    torch.testing.assert_close(torch.tensor(logits[same]), torch.tensor(view_logits[same]))
    torch.testing.assert_close(torch.tensor(outcomes[same]), torch.tensor(view_outcomes[same]))
    assert expected(network, game, observations)[0] == pytest.approx(logits, abs=1e-4)
