"""How the trained player's search differs from that of self-play."""

from __future__ import annotations

from ddpzero.algorithms.alphazero.algorithm import search_in_play
from ddpzero.algorithms.alphazero.settings import AlphaZeroSettings
from ddpzero.search import SearchSettings


def test_settings_for_play_replace_those_of_self_play():
    search = SearchSettings(value_scale=0.1, endgame_plies=7)
    assert search_in_play(search, AlphaZeroSettings()) == search
    settings = AlphaZeroSettings(play_value_scale=0.5, play_endgame_plies=0)
    assert search_in_play(search, settings) == SearchSettings(value_scale=0.5, endgame_plies=0)


def test_a_search_that_proves_nothing_makes_no_proofs_in_play():
    search = SearchSettings(solve=False)
    assert search_in_play(search, AlphaZeroSettings(play_endgame_plies=7)) == search
