"""Facts about the evaluation cache."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from ddpzero.games import Game
from ddpzero.games.core.compiled import compiled
from ddpzero.search import SearchSettings
from ddpzero.search.cache import NO_ENTRY, add_entry, find_entry, new_cache
from tests.search.games.random_tree import new_position
from tests.search.harness import Lockstep, evaluate_by_hash

BYTES_PER_ENTRY = 4 + 8 + 4 * 10 + 16  # of the random tree game


def play_three_moves(lockstep: Lockstep) -> list[np.ndarray]:
    """Everything that came out of three moves, always the most visited."""
    found = []
    for _ in range(3):
        lockstep.search()
        found += [lockstep.visits.copy(), lockstep.targets.copy(), lockstep.values.copy()]
        lockstep.play(lockstep.visits.argmax(axis=1))
    return found


@pytest.mark.parametrize("algorithm", ["puct", "gumbel"])
@pytest.mark.parametrize("num_entries", [2, 4, 64, 1 << 14])
def test_the_cache_changes_no_result(random_tree: Game, algorithm: str, num_entries: int):
    settings = SearchSettings(algorithm=algorithm, num_simulations=24)
    positions = np.array(
        [new_position(key % 5, max_plies=30, end_percent=0, key_bits=8) for key in range(40)]
    )
    search = partial(Lockstep, random_tree, settings, positions, seed=1)
    without, with_cache = search(), search(cache_megabytes=num_entries * BYTES_PER_ENTRY / 1e6)
    assert len(with_cache.cache.versions) == num_entries
    for expected, found in zip(
        play_three_moves(without), play_three_moves(with_cache), strict=True
    ):
        np.testing.assert_array_equal(expected, found)
    _, hits = with_cache.cache.counts
    assert hits > 0
    assert sum(with_cache.evaluator.batch_sizes) == sum(without.evaluator.batch_sizes) - hits


def test_lockstep_games_share_evaluations(random_tree: Game):
    settings = SearchSettings(algorithm="puct", num_simulations=24, dirichlet_fraction=0.0)
    one_position = np.tile(new_position(1), (30, 1))
    lockstep = Lockstep(random_tree, settings, one_position, cache_megabytes=1.0)
    lockstep.search()
    again = Lockstep(random_tree, settings, one_position, cache=lockstep.cache)
    again.search()
    assert again.evaluator.batch_sizes == []
    np.testing.assert_array_equal(again.visits, lockstep.visits)


def test_an_entry_counts_only_for_the_weights_that_made_it(random_tree: Game):
    def evaluate_otherwise(observation: bytes):
        return evaluate_by_hash(observation + b"other weights")

    settings = SearchSettings(num_simulations=24)
    positions = np.array([new_position(key) for key in range(20)])
    old = Lockstep(random_tree, settings, positions, cache_megabytes=1.0)
    old.search()
    with_new_weights = Lockstep(random_tree, settings, positions, evaluate_otherwise)
    with_new_weights.cache = old.cache
    with_new_weights.weights_version = 1
    with_new_weights.search()
    expected = Lockstep(random_tree, settings, positions, evaluate_otherwise)
    expected.search()
    np.testing.assert_array_equal(with_new_weights.visits, expected.visits)
    np.testing.assert_array_equal(with_new_weights.targets, expected.targets)


@pytest.mark.parametrize("num_entries", [2, 8])
def test_a_tiny_cache_never_gives_another_observation_s_evaluation(
    random_tree: Game, num_entries: int
):
    """Random use of a cache much smaller than what goes through it, compared with what was put in last."""
    rng = np.random.default_rng(0)
    cache = new_cache(random_tree, num_entries * BYTES_PER_ENTRY / 1e6)
    observations = rng.integers(0, 256, (20, 8), dtype=np.uint8)
    last_added: dict[tuple[int, int], float] = {}
    num_found = 0
    for number in range(5000):
        index, version = int(rng.integers(20)), number // 500
        place = look_up(cache, observations[index], version)
        if place != NO_ENTRY:
            num_found += 1
            assert cache.logits[place, 0] == last_added[index, version]
            assert cache.outcomes[place, 3] == last_added[index, version]
        elif rng.random() < 0.5:
            add(cache, observations[index], number, version)
            last_added[index, version] = number
            assert look_up(cache, observations[index], version) != NO_ENTRY
    assert num_found > 300


def test_no_megabytes_means_no_cache(random_tree: Game):
    cache = new_cache(random_tree, 0.0)
    observation = np.zeros(8, np.uint8)
    add(cache, observation, 1, 0)
    assert look_up(cache, observation, 0) == NO_ENTRY
    assert cache.counts.tolist() == [0, 0]


def test_the_cache_stays_within_its_megabytes(random_tree: Game):
    cache = new_cache(random_tree, 1.0)
    assert 0.5e6 <= sum(array.nbytes for array in cache) <= 1.0e6


def add(cache, observation: np.ndarray, number: int, version: int) -> None:
    logits = np.full(10, number, np.float32)
    add_compiled(cache, observation, logits, np.full(4, number, np.float32), version)


@compiled(cache=False)
def look_up(cache, observation, version):
    return find_entry(cache, observation, version)


@compiled(cache=False)
def add_compiled(cache, observation, logits, outcome, version):
    add_entry(cache, observation, logits, outcome, version)
