"""Search settings that cannot work are refused with their path, their value and a remedy."""

from __future__ import annotations

import pytest

from ddpzero.search import SearchSettings


def test_subtrees_cannot_be_reused_with_gumbel():
    with pytest.raises(ValueError, match=r"search\.reuse_subtree=true .* search=puct"):
        SearchSettings(algorithm="gumbel", reuse_subtree=True)


def test_ends_cannot_be_proven_where_proofs_are_ignored():
    with pytest.raises(ValueError, match=r"search\.endgame_plies=6 .* search\.solve=true or"):
        SearchSettings(solve=False, endgame_plies=6)


def test_wins_are_not_sought_where_proofs_are_ignored():
    with pytest.raises(ValueError, match=r"search\.forced_win_plies=2 .* search\.solve=true or"):
        SearchSettings(solve=False, forced_win_plies=2)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("num_simulations", -1),
        ("endgame_plies", -1),
        ("forced_win_plies", -1),
        ("leaves_per_round", 0),
        ("max_considered_actions", 0),
        ("c_puct_base", 0.0),
        ("dirichlet_alpha", 0.0),
        ("dirichlet_fraction", 1.5),
        ("temperature", -0.1),
        ("virtual_loss", -1.0),
    ],
)
def test_settings_out_of_range_are_refused_by_name_and_value(name: str, value: float):
    with pytest.raises(ValueError, match=rf"search\.{name}={value} must be"):
        SearchSettings(**{name: value})
