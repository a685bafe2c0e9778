"""Facts about how strong a player plays."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from numba.core.dispatcher import Dispatcher

from ddpzero.algorithms.alphazero.player import AlphaZeroPlayer
from ddpzero.arena.levels import FULL_LEVEL, level_of, sampled_move
from ddpzero.arena.players import RandomPlayer, RolloutPlayer
from ddpzero.games import load_game
from ddpzero.games.core.players import Analysis, MoveThought, Thoughts
from ddpzero.networks import NetworkSettings, make_network
from ddpzero.play.clock import Clock, TimeControl
from ddpzero.play.engine import Limits
from ddpzero.play.seat import seat_of
from ddpzero.play.strength import (
    Strength,
    _is_hard,
    choose_move,
    make_engine,
    ponder,
    warm_up,
)
from ddpzero.search import SearchSettings, thinking
from ddpzero.system.errors import UserError


@pytest.fixture(scope="module")
def game():
    return load_game("tic_tac_toe")


@pytest.fixture(scope="module")
def player(game):
    torch.manual_seed(0)
    network = make_network(game, NetworkSettings(blocks=1, channels=8))
    settings = SearchSettings(num_simulations=30)
    return AlphaZeroPlayer(game, network, settings, "agent", "cpu", "float32")


def choose(engine, strength, **others):
    clock = Clock(strength.time)
    clock.start()
    return choose_move(engine, strength, clock, np.random.default_rng(0), **others)


def thoughts_of(*moves):
    """Thoughts with (visits, prior) of moves 0, 1, ..."""
    return Thoughts(
        moves=tuple(
            MoveThought(action, visits, 0.0, prior, None, (action,), False)
            for action, (visits, prior) in enumerate(moves)
        ),
        visits=sum(visits for visits, _ in moves),
        value=0.0,
        wdl=(0.5, 0.0, 0.5),
        policy=np.zeros(len(moves), np.float32),
        score=None,
        is_proven=False,
    )


def play(engine, names):
    for name in names.split():
        engine.play(engine.game.parse_action(name))


def test_without_limits_it_makes_the_simulations_of_its_config(game, player):
    strength = Strength()
    assert choose(make_engine(player, game, strength), strength).thoughts.visits <= 30
    assert strength.simulations_of(player) == 30
    assert strength.simulations_of(RandomPlayer(game)) == 800


def test_usual_simulations_are_those_without_any_other_limit(game, player):
    usual = Strength(usual_simulations=200)
    assert usual.simulations_of(player) == 200
    assert replace(usual, level=FULL_LEVEL).simulations_of(player) == 200
    assert replace(usual, level=8).simulations_of(player) == level_of(8).simulations
    assert replace(usual, simulations=7).simulations_of(player) == 7
    assert replace(usual, time=TimeControl(move_seconds=1.0)).simulations_of(player) is None


def test_simulations_limit_a_move(game, player):
    strength = Strength(simulations=12)
    assert choose(make_engine(player, game, strength), strength).thoughts.visits <= 12


def test_a_time_limits_a_move_that_has_no_other_limit(game, player):
    strength = Strength(TimeControl(move_seconds=0.3))
    engine = make_engine(player, game, strength, memory_bytes=2**24)
    warm_up(engine)
    assert engine.expected == [] and not engine.episode.actions
    started = time.monotonic()
    choice = choose(engine, strength)
    assert choice.action in engine.episode.legal_actions() and choice.thoughts.visits > 30
    assert time.monotonic() - started < 10.0


@pytest.fixture
def called(monkeypatch):
    """The names of the compiled functions that thinking calls."""
    names = set()

    def spied(name, function):
        return lambda *arguments: (names.add(name), function(*arguments))[1]

    for name, function in list(vars(thinking).items()):
        if isinstance(function, Dispatcher):
            monkeypatch.setattr(thinking, name, spied(name, function))
    return names


def test_all_code_of_a_move_with_a_time_is_loaded_before_the_first_one(game, player, called):
    strength = Strength(TimeControl(move_seconds=1000.0), most_simulations=150, ponders=True)
    engine = make_engine(player, game, strength, memory_bytes=2**24)
    warm_up(engine)
    loaded = set(called)
    called.clear()
    engine.play(choose(engine, strength).action)
    looks = iter([False] * 5)
    ponder(engine, lambda: next(looks, True))
    engine.play(engine.episode.legal_actions()[0])
    choose(engine, strength)
    assert called and called <= loaded


def test_a_player_with_a_clock_has_its_code_before_the_game(game, player, called):
    seat_of("agent", player, game, Strength(simulations=5))
    assert not called
    seat_of("agent", player, game, Strength(TimeControl(move_seconds=1.0)))
    assert "lead_of" in called


def test_the_clock_knows_that_a_hard_move_ends_later(game, player, monkeypatch):
    strength = Strength(TimeControl(game_seconds=1.5))
    engine = make_engine(player, game, strength, memory_bytes=2**24)
    warm_up(engine)
    monkeypatch.setattr("ddpzero.play.strength._is_hard", lambda thoughts: True)
    clock, planned = Clock(strength.time), []
    plan = clock.plan
    monkeypatch.setattr(clock, "plan", lambda seconds: (planned.append(seconds), plan(seconds)))
    clock.start()
    choose_move(engine, strength, clock, np.random.default_rng(0))
    usual, further = planned
    assert 0.0 < further < usual


def test_the_time_that_passed_before_counts(game, player):
    strength = Strength(TimeControl(move_seconds=5.0))
    engine, clock = make_engine(player, game, strength, memory_bytes=2**24), Clock(strength.time)
    clock.start(time.monotonic() - 60.0)
    assert choose_move(engine, strength, clock, np.random.default_rng(0)).thoughts.visits == 0


def test_it_stops_when_it_is_told(game, player):
    strength = Strength(TimeControl(move_seconds=1000.0))
    engine = make_engine(player, game, strength, memory_bytes=2**24)
    assert choose(engine, strength, is_stopped=lambda: True).thoughts.visits == 0


def test_what_it_pondered_is_kept(game, player):
    strength = Strength(simulations=10, ponders=True)
    engine = make_engine(player, game, strength, memory_bytes=2**24)
    looks = iter([False] * 5)
    ponder(engine, lambda: next(looks, True))
    best = engine.think(Limits(simulations=0)).moves[0]
    assert best.visits > 1
    engine.play(best.action)
    assert choose(engine, strength).thoughts.visits >= best.visits - 1


def test_the_lowest_level_takes_the_network_alone_and_the_highest_all(game, player):
    assert Strength(level=1).simulations_of(player) == 0
    assert Strength(level=FULL_LEVEL).simulations_of(player) == 30
    assert Strength(level=FULL_LEVEL).lowered is None


def test_a_temperature_samples_among_good_moves():
    thoughts, rng = thoughts_of((60, 0.4), (30, 0.1), (0, 0.5)), np.random.default_rng(0)
    assert {sampled_move(thoughts, 0.0, rng) for _ in range(20)} == {0}
    counts = Counter(sampled_move(thoughts, 1.0, rng) for _ in range(3000))
    assert counts[0] / counts[1] == pytest.approx(60.4 / 30.1, rel=0.15)
    assert 0 < counts[2] < 60
    counts = Counter(sampled_move(thoughts, 0.5, rng) for _ in range(3000))
    assert counts[0] / counts[1] == pytest.approx((60.4 / 30.1) ** 2, rel=0.2)


def test_levels_are_of_players_that_search_as_long_as_they_are_asked(game):
    with pytest.raises(UserError, match="levels are for trained agents"):
        make_engine(RolloutPlayer(game, 10), game, Strength(level=3))
    make_engine(RolloutPlayer(game, 10), game, Strength(level=FULL_LEVEL))


class Pessimist:
    """Expects `value`, and plays the first empty cell."""

    name = "pessimist"
    uses_chance = False

    def __init__(self, game):
        self.value = -0.95
        self._game = game

    def choose(self, positions, rng):
        return self.analyze(positions, rng).actions

    def analyze(self, positions, rng):
        legal = np.stack([self._game.legal_actions(position) for position in positions])
        values = np.full(len(positions), self.value, np.float32)
        wdl = np.stack([(1 + values) / 2, 0 * values, (1 - values) / 2], axis=1)
        policy = (legal / legal.sum(axis=1, keepdims=True)).astype(np.float32)
        return Analysis(legal.argmax(axis=1), policy, values, wdl)


def play_against(engine, strength, values):
    """Whether it resigns at each of its moves, where it expects these values. It plays until it resigns."""
    resigned = []
    for value in values:
        engine.player.value = value
        choice = choose(engine, strength)
        resigned.append(choice.action is None)
        if choice.action is None:
            break
        engine.play(choice.action)
        if not engine.episode.is_over:
            engine.play(engine.episode.legal_actions()[-1])
    return resigned


@pytest.mark.parametrize(
    ("values", "resigned"),
    [
        ((-0.95, -0.92, -0.99), [False, False, True]),
        ((-0.95, -0.85, -0.99), [False, False, False]),
    ],
)
def test_it_resigns_after_three_hopeless_moves_in_a_row(game, values, resigned):
    engine = make_engine(Pessimist(game), game, Strength())
    assert play_against(engine, Strength(resigns=True), values) == resigned
    engine.set_up()
    # Only if it may, and an earlier game does not count.
    assert play_against(engine, Strength(), values) == [False] * 3
    engine.set_up()
    assert play_against(engine, Strength(resigns=True), values[:2]) == [False] * 2


def test_moves_that_were_taken_back_do_not_count_towards_resigning(game):
    engine = make_engine(Pessimist(game), game, Strength())
    assert play_against(engine, Strength(resigns=True), (-0.95, -0.95)) == [False, False]
    for _ in range(3):
        engine.undo()
    engine.play(engine.episode.legal_actions()[-1])
    assert choose(engine, Strength(resigns=True)).action is not None


def test_it_does_not_resign_if_a_move_is_proven_not_to_lose(game, monkeypatch):
    engine = make_engine(Pessimist(game), game, Strength())
    assert play_against(engine, Strength(resigns=True), (-0.95, -0.95)) == [False, False]
    bad = engine.think(Limits())
    proven = replace(bad.moves[0], value=0.0, is_proven=True)
    thoughts = replace(bad, moves=(proven, *bad.moves[1:]))
    monkeypatch.setattr(engine, "think", lambda *_: thoughts)
    assert choose(engine, Strength(resigns=True)).action is not None
    monkeypatch.setattr(engine, "think", lambda *_: bad)
    assert choose(engine, Strength(resigns=True)).action is None


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"level": 0}, r"level=0 \(--level\): 0 is not a level: there are 1"),
        ({"level": 10}, "10 is not a level"),
        ({"level": 3, "simulations": 10}, "both say how many"),
    ],
)
def test_wrong_strengths_are_told(wrong, sentence):
    with pytest.raises(UserError, match=sentence):
        Strength(**wrong)


def test_levels_have_numbers_from_1_to_9():
    assert [level_of(number) is None for number in range(1, 10)] == [False] * 8 + [True]


@pytest.mark.parametrize(("others", "is_hard"), [((90, 100), True), ((10, 100), False)])
def test_a_decision_is_between_moves_that_are_not_lost(others, is_hard):
    thoughts = thoughts_of((100, 0.5), (others[0], 0.2), (others[1], 0.3))
    first, second, lost = thoughts.moves
    lost = replace(lost, is_proven=True, value=-1.0)
    assert _is_hard(replace(thoughts, moves=(first, lost, second))) == is_hard
