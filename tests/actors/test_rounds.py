"""Schedule "rounds": the same episodes in the same order for a seed, whatever happens to the processes."""

from __future__ import annotations

import os
import signal
import time

import pytest
from helpers import ToyPool, wait_until

from ddpzero.actors import ActorError, ActorPool
from ddpzero.actors import supervised as supervised_module
from ddpzero.actors.round import Round
from ddpzero.replay import Episode

ROUNDS = {"schedule": "rounds"}
SHARES = [7, 0, 12]


@pytest.fixture(autouse=True)
def short_backoff(monkeypatch):
    monkeypatch.setattr(supervised_module, "_BACKOFF_SECONDS", 0.05)


def play(
    toys: ToyPool, round_seed: int, weights_version: int, seconds: float = 30
) -> list[Episode]:
    toys.pool.start_round(
        episodes_per_actor=SHARES, round_seed=round_seed, weights_version=weights_version
    )
    assert toys.pool.wait_for_round(seconds)
    return toys.pool.collect_round()


def episodes_of_round(pool: ActorPool) -> int:
    """Episodes of the present round that have arrived."""
    return 0 if pool._round is None else len(pool._round.episodes)


def content(episodes: list[Episode]) -> list[tuple]:
    """What must not depend on processes: order, maker and samples."""
    return [
        (e.info["actor_index"], *e.columns["number"], *e.columns["weights_version"])
        for e in episodes
    ]


@pytest.fixture(scope="module")
def expected() -> list[list[tuple]]:
    """Two rounds as undisturbed actors play them."""
    with ToyPool(num_actors=3, pool_options=ROUNDS, slice_seconds=0.0) as toys:
        return [content(play(toys, seed, weights_version=1)) for seed in (5, 6)]


def test_a_round_is_each_actors_quota_in_order_of_actors(expected):
    assert [row[0] for row in expected[0]] == [0] * 7 + [2] * 12
    numbers = [number for round_ in expected for row in round_ for number in row[1:6]]
    assert len(set(numbers)) == len(numbers)


def test_rounds_do_not_depend_on_timing_or_on_slices(expected):
    with ToyPool(
        num_actors=3,
        pool_options=ROUNDS,
        slice_seconds=0.02,
        random_sleeps=True,
        episodes_per_slice=3,
    ) as toys:
        assert [content(play(toys, seed, weights_version=1)) for seed in (5, 6)] == expected


def test_a_round_does_not_depend_on_the_rounds_before_it(expected):
    options = {**ROUNDS, "seed": 12345}
    with ToyPool(num_actors=3, pool_options=options, slice_seconds=0.0) as toys:
        assert content(play(toys, 6, weights_version=1)) == expected[1]


def test_an_actor_killed_in_the_middle_plays_its_quota_again_without_doubles(expected):
    with ToyPool(num_actors=3, pool_options=ROUNDS, slice_seconds=0.1) as toys:
        toys.pool.start_round(episodes_per_actor=SHARES, round_seed=5, weights_version=1)
        wait_until(lambda: toys.pool.wait_for_round(0.05) or episodes_of_round(toys.pool) >= 8)
        assert not toys.pool.round_done
        os.kill(toys.pool.pids[2], signal.SIGKILL)
        assert toys.pool.wait_for_round(30)
        assert toys.pool.num_restarts == 1
        assert content(toys.pool.collect_round()) == expected[0]
        assert content(play(toys, 6, weights_version=1)) == expected[1]


def test_an_actor_that_raises_in_the_middle_does_so_too(expected, tmp_path):
    trouble = {
        "trouble": "raise",
        "trouble_once_file": str(tmp_path / "once"),
        "trouble_actor_index": 0,
    }
    with ToyPool(num_actors=3, pool_options=ROUNDS, **trouble) as toys:
        assert content(play(toys, 5, weights_version=1)) == expected[0]
        assert toys.pool.num_restarts == 1


def test_an_actor_killed_after_its_quota_keeps_what_it_played(expected):
    with ToyPool(num_actors=3, pool_options=ROUNDS, slice_seconds=0.1) as toys:
        toys.pool.start_round(episodes_per_actor=SHARES, round_seed=5, weights_version=1)
        round_ = toys.pool._round
        wait_until(lambda: toys.pool.wait_for_round(0.05) or not round_.owes(0))
        assert not toys.pool.round_done
        os.kill(toys.pool.pids[0], signal.SIGKILL)
        assert toys.pool.wait_for_round(30)
        assert content(toys.pool.collect_round()) == expected[0]


def test_actors_wait_for_the_weights_that_the_round_asks_for():
    with ToyPool(num_actors=3, pool_options=ROUNDS, slice_seconds=0.0) as toys:
        toys.pool.start_round(episodes_per_actor=SHARES, round_seed=5, weights_version=2)
        assert not toys.pool.wait_for_round(1.0) and episodes_of_round(toys.pool) == 0
        toys.publish(2)
        assert toys.pool.wait_for_round(30)
        episodes = toys.pool.collect_round()
        assert len(episodes) == sum(SHARES)
        for episode in episodes:
            assert set(episode.columns["weights_version"]) == {2}
            assert episode.info["weights_sum"] == 8.0


def test_weights_published_in_the_middle_are_not_taken(expected):
    with ToyPool(num_actors=3, pool_options=ROUNDS, slice_seconds=0.1) as toys:
        toys.pool.start_round(episodes_per_actor=SHARES, round_seed=5, weights_version=1)
        wait_until(lambda: toys.pool.wait_for_round(0.05) or episodes_of_round(toys.pool) >= 8)
        toys.publish(2)
        assert toys.pool.wait_for_round(30)
        assert content(toys.pool.collect_round()) == expected[0]


def test_a_round_whose_weights_are_gone_is_refused():
    with ToyPool(
        num_actors=3, pool_options={**ROUNDS, "max_restarts": 0}, slice_seconds=0.0
    ) as toys:
        toys.publish(7)
        with pytest.raises(ActorError, match="weights_version 1, but 7 is published"):
            play(toys, 5, weights_version=1)


def test_an_abandoned_round_leaves_nothing_in_the_next(expected):
    with ToyPool(num_actors=3, pool_options=ROUNDS, slice_seconds=0.02) as toys:
        for _ in range(2):
            toys.pool.start_round(episodes_per_actor=SHARES, round_seed=99, weights_version=1)
            wait_until(lambda: toys.pool.wait_for_round(0.05) or episodes_of_round(toys.pool) >= 2)
            toys.pool.abandon_round()
        # Of these weights, there never will be any.
        toys.pool.start_round(episodes_per_actor=SHARES, round_seed=99, weights_version=50)
        toys.pool.abandon_round()
        assert content(play(toys, 5, weights_version=1)) == expected[0]
        assert toys.pool.num_restarts == 0


def test_idle_actors_are_not_taken_for_hanging_and_dead_ones_are_replaced():
    options = {**ROUNDS, "hang_seconds": 0.8}
    with ToyPool(num_actors=3, pool_options=options, slice_seconds=0.0) as toys:
        play(toys, 5, weights_version=1)
        end = time.monotonic() + 2.5
        while time.monotonic() < end:
            assert toys.pool.poll(0.05) == []
        assert toys.pool.num_restarts == 0
        os.kill(toys.pool.pids[1], signal.SIGKILL)
        wait_until(lambda: toys.pool.poll(0.05) == [] and toys.pool.num_restarts == 1)


def test_metrics_of_a_round_are_complete_when_it_is_done():
    with ToyPool(num_actors=3, pool_options=ROUNDS, slice_seconds=0.0) as toys:
        play(toys, 5, weights_version=1)
        assert toys.pool.take_metrics()["simulations"] == sum(SHARES)
        play(toys, 6, weights_version=1)
        assert toys.pool.take_metrics()["simulations"] == sum(SHARES)


def test_the_bookkeeping_of_a_round():
    round_ = Round(3, [2, 0, 1], round_seed=1, weights_version=1)
    first, second, third = (Episode({}, {"name": name}) for name in "abc")
    assert [round_.owes(index) for index in range(3)] == [True, False, True]
    round_.take(2, first)
    round_.finish(2)
    round_.take(0, second)
    round_.begin_again(0)
    round_.begin_again(2)
    assert len(round_.episodes) == 1 and not round_.is_done
    round_.take(0, second)
    round_.take(0, third)
    round_.finish(0)
    assert round_.is_done and round_.episodes == [second, third, first]
