from dataclasses import replace

import numpy as np
import pytest
import torch

from ddpzero.games import load_game
from ddpzero.networks.heads import (
    CellPolicy,
    ColumnPolicy,
    DensePolicy,
    Ownership,
    PooledSummary,
    Score,
    make_policy_head,
    make_summary,
    make_value_head,
)
from ddpzero.networks.layers import pool


def with_a_pass(spec):
    """The same game with one more action that no symmetry moves."""
    stays = np.full((len(spec.action_symmetries), 1), spec.num_actions, np.int32)
    return replace(
        spec,
        num_actions=spec.num_actions + 1,
        action_symmetries=np.hstack([spec.action_symmetries, stays]),
        action_cells=np.append(spec.action_cells, np.int32(-1)),
    )


def cells_of(size):
    return np.arange(size**2, dtype=np.int32)


def board(size):
    return load_game("gomoku", size=size, line=5).spec


@pytest.mark.parametrize(
    ("name", "head"),
    [("tic_tac_toe", CellPolicy), ("gomoku", CellPolicy), ("connect_four", ColumnPolicy)],
)
def test_the_spec_tells_what_the_actions_mean(name, head):
    assert isinstance(make_policy_head(load_game(name).spec, 8), head)


def test_a_pass_beside_the_cells_has_a_logit_of_its_own():
    spec = with_a_pass(load_game("tic_tac_toe").spec)
    assert make_policy_head(spec, 8)(torch.rand(2, 8, 3, 3)).shape == (2, 10)


def test_actions_that_follow_no_symmetry_of_the_board_get_a_dense_head():
    spec = load_game("connect_four").spec
    identity = np.arange(spec.num_actions, dtype=np.int32)
    shuffled = replace(spec, action_symmetries=np.stack([identity, np.roll(identity, 1)]))
    assert not shuffled.actions_are_columns
    head = make_policy_head(shuffled, 8)
    assert isinstance(head, DensePolicy)
    assert head(torch.rand(2, 8, 6, 7)).shape == (2, 7)


def test_without_a_symmetry_nothing_is_guessed():
    spec = load_game("connect_four").spec
    bare = replace(
        spec, cell_symmetries=spec.cell_symmetries[:1], action_symmetries=spec.action_symmetries[:1]
    )
    assert isinstance(make_policy_head(bare, 8), DensePolicy)


def test_a_cells_logit_comes_from_its_own_features():
    head = CellPolicy(8, cells_of(5), 25)
    features = torch.rand(1, 8, 5, 5)
    changed = features.clone()
    changed[0, :, 2, 3] += 1.0
    differs = (head(features) != head(changed))[0]
    assert differs.nonzero().flatten().tolist() == [2 * 5 + 3]


def test_actions_in_any_order_have_the_logits_of_their_cells_and_the_others_their_own():
    """As in Dots and Boxes, where the edges are some of the cells, and Go, where a pass comes last."""
    head = CellPolicy(8, np.array([7, -1, 3, -1, 0], np.int32), 9)
    features = torch.rand(2, 8, 3, 3)
    inner = head.features(features)
    cells, others = head.cells(inner).flatten(1), head.others(pool(inner, None))
    expected = torch.stack([cells[:, 7], others[:, 0], cells[:, 3], others[:, 1], cells[:, 0]], 1)
    torch.testing.assert_close(head(features), expected)


def test_mirrored_features_mirror_the_columns_logits():
    head = ColumnPolicy(8, height=6)
    features = torch.rand(2, 8, 6, 7)
    torch.testing.assert_close(head(features.flip(3)), head(features).flip(1))


def test_a_cells_owner_comes_from_its_own_features():
    head = Ownership(8, np.array([7, 12], np.int32))
    features = torch.rand(1, 8, 5, 5)
    changed = features.clone()
    changed[0, :, 2, 2] += 1.0
    assert (head(features) != head(changed))[0].tolist() == [False, True]


def test_the_score_has_a_logit_for_each_number_of_points():
    logits = Score(PooledSummary(8), max_score=9)(torch.rand(2, 8, 3, 3))
    assert logits.shape == (2, 19)
    assert logits.std(dim=1).min() > 0


@pytest.mark.parametrize(
    "make",
    [
        lambda size: CellPolicy(8, cells_of(size), size**2),
        lambda size: make_value_head(board(size), 8),
        lambda size: Score(PooledSummary(8), size**2),
        lambda size: Ownership(8, cells_of(size)),
    ],
)
def test_the_weights_of_heads_for_cells_and_values_fit_any_board(make):
    small, large = make(5), make(9)
    large.load_state_dict(small.state_dict())
    assert small(torch.rand(2, 8, 5, 5)).shape[0] == large(torch.rand(2, 8, 9, 9)).shape[0] == 2


@pytest.mark.parametrize(
    ("make", "num_logits"),
    [
        (lambda kind: make_value_head(load_game("connect_four").spec, 8, kind), 3),
        (lambda kind: Score(make_summary(8, (6, 7), kind), max_score=9), 19),
    ],
)
def test_a_dense_head_knows_cells_apart_and_a_pooled_one_does_not(make, num_logits):
    features = torch.rand(2, 8, 6, 7)
    upside_down = features.flip(2)
    pooled, dense = make("pooled"), make("dense")
    torch.testing.assert_close(pooled(upside_down), pooled(features))
    assert not torch.allclose(dense(upside_down), dense(features), atol=1e-3)
    assert dense(features).shape == pooled(features).shape == (2, num_logits)
