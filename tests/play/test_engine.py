"""Facts about a player at a board."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch

from ddpzero.algorithms.alphazero.player import AlphaZeroPlayer
from ddpzero.arena.players import RandomPlayer, RolloutPlayer
from ddpzero.games import load_game
from ddpzero.networks import NetworkSettings, make_network
from ddpzero.play import engine as engine_module
from ddpzero.play.engine import Engine, Limits
from ddpzero.search import SearchSettings
from ddpzero.system.errors import UserError


@pytest.fixture(scope="module")
def game():
    return load_game("tic_tac_toe")


@pytest.fixture
def engine(game):
    torch.manual_seed(0)
    network = make_network(game, NetworkSettings(blocks=1, channels=8))
    settings = SearchSettings(solve=False)
    return Engine(
        AlphaZeroPlayer(game, network, settings, "agent", "cpu", "float32"), game, 1_000_000
    )


def play(engine, names):
    for name in names.split():
        engine.play(engine.game.parse_action(name))


def test_it_thinks_up_to_a_number_of_simulations(engine):
    assert engine.think(Limits(simulations=50)).visits == 50
    # What was found is kept.
    assert engine.think(Limits(simulations=20)).visits == 50
    assert engine.think(Limits(simulations=60)).visits == 60
    assert engine.think(Limits(simulations=0)).visits == 60


def test_it_thinks_as_long_as_it_is_told(engine):
    engine.think(Limits(simulations=1))
    started = time.perf_counter()
    thoughts = engine.think(Limits(seconds=0.2))
    assert time.perf_counter() - started >= 0.2 and thoughts.visits > 1


def test_it_stops_when_it_is_told(engine):
    asked = []

    def is_stopped():
        asked.append(True)
        return len(asked) > 2

    assert engine.think(Limits(), is_stopped).visits < 1_000_000
    assert len(asked) == 3


def test_it_tells_what_it_finds_while_it_thinks(engine):
    told = []
    engine.think(Limits(simulations=40), on_thoughts=told.append, interval_seconds=0.0)
    assert told[0].visits == 0 and len(told) > 1
    assert [t.visits for t in told] == sorted(t.visits for t in told)
    assert all(t.moves for t in told)


def test_it_saves_time_once_no_other_move_can_become_the_best(engine, monkeypatch):
    monkeypatch.setattr(engine_module, "_SHORT_SECONDS", 0.0)
    # A win in one move.
    play(engine, "a1 b1 a2 b2")
    thoughts = engine.think(Limits(simulations=2000, is_early=True))
    first, second = (move.visits for move in thoughts.moves[:2])
    assert thoughts.visits < 2000 and first - second > 2000 - thoughts.visits


def test_moves_are_played_and_taken_back(engine):
    play(engine, "a1 b2")
    assert [engine.game.action_name(a) for a in engine.episode.actions] == ["a1", "b2"]
    assert engine.undo() and engine.undo() and not engine.undo()
    assert engine.position.tolist() == engine.game.initial_position().tolist()
    with pytest.raises(ValueError, match="not legal"):
        play(engine, "a1 a1")
    engine.set_up([engine.game.parse_action("c3")])
    assert engine.think(Limits(simulations=5)).visits == 5
    with pytest.raises(ValueError, match="not legal"):
        engine.set_up([0, 0])
    assert len(engine.episode.actions) == 1


def test_the_tree_below_a_move_is_kept(engine):
    best = engine.think(Limits(simulations=200)).moves[0]
    engine.play(best.action)
    assert engine.think(Limits(simulations=0)).visits == best.visits - 1
    engine.undo()
    assert engine.think(Limits(simulations=0)).visits == 0


def test_a_game_is_played_to_its_end(engine):
    play(engine, "a1 b1 a2 b2")
    thoughts = engine.think(Limits(simulations=300))
    assert engine.game.action_name(thoughts.moves[0].action) == "a3"
    play(engine, "a3")
    assert engine.episode.is_over
    engine.undo()
    assert engine.think(Limits(simulations=300)).visits == 300


def test_a_player_without_an_open_ended_search_thinks_once(game):
    engine = Engine(RolloutPlayer(game, 200), game, 10_000)
    play(engine, "a1 b1 a2 b2")
    thoughts = engine.think(Limits(seconds=100.0))
    assert game.action_name(thoughts.moves[0].action) == "a3" and thoughts.visits == 100
    assert thoughts.value > 0.5 and sum(thoughts.wdl) == pytest.approx(1.0)


def test_a_player_that_says_nothing_is_refused(game):
    with pytest.raises(UserError, match="random only chooses moves"):
        Engine(RandomPlayer(game), game, 100)


def test_a_number_of_simulations_finds_the_same_however_fast_the_machine_is(engine, monkeypatch):
    found = engine.think(Limits(simulations=300))
    # It looks at the clock after every batch.
    monkeypatch.setattr(engine_module, "_SECONDS_BETWEEN_LOOKS", 0.0)
    again = Engine(engine.player, engine.game, 10_000).think(Limits(simulations=300))
    assert again.moves == found.moves and again.visits == 300


def test_a_rate_that_was_low_limits_the_next_batch(engine):
    asked = []
    think = engine._thinker.think

    def spied(num_simulations, *until):
        asked.append(num_simulations)
        return think(num_simulations, *until)

    engine._thinker.think = spied
    engine._slow_rate = 5.0
    engine.think(Limits(seconds=0.3))
    assert asked[:2] == [0, 1]
    engine.set_up()
    asked.clear()
    engine.think(Limits(simulations=100))
    assert asked[:2] == [0, 100]


def test_moves_can_be_left_out_until_the_next_move(engine):
    bans = np.zeros((1, 2, 9), np.bool_)
    bans[0, 0, :7] = True
    engine.ban(bans)
    assert {move.action for move in engine.think(Limits(simulations=50)).moves} == {7, 8}
    engine.ban(None)
    assert len(engine.think(Limits(simulations=50)).moves) == 9
    engine.ban(bans)
    engine.play(3)
    assert len(engine.think(Limits(simulations=50)).moves) == 8


def test_a_player_that_evaluates_positions_leaves_out_moves_of_the_position_alone(game):
    engine = Engine(RolloutPlayer(game, 20), game, 100)
    with pytest.raises(UserError, match="no moves after the first can be left out"):
        engine.ban(np.zeros((2, 2, 9), np.bool_))
    bans = np.zeros((1, 2, 9), np.bool_)
    bans[0, 0, 1:] = True
    engine.ban(bans)
    thoughts = engine.think(Limits())
    assert [move.action for move in thoughts.moves] == [0] and thoughts.policy[0] == 1
    # Where no other action is legal, they are all allowed.
    engine.ban(np.ones((1, 2, 9), np.bool_))
    assert len(engine.think(Limits()).moves) == 9
    engine.ban(None)
    assert len(engine.think(Limits()).moves) == 9
