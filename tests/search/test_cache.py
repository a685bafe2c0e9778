"""Facts about the evaluation cache."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from ddpzero.games import Game, load_game
from ddpzero.games.core.compiled import compiled
from ddpzero.search import SearchSettings
from ddpzero.search.cache import (
    NO_ENTRY,
    EvaluationCache,
    add_entry,
    find_entry,
    new_cache,
    smallest_view,
)
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
    entries = (cache.versions, cache.observations, cache.logits, cache.outcomes)
    assert 0.5e6 <= sum(array.nbytes for array in entries) <= 1.0e6


def test_an_entry_outlives_as_many_versions_as_asked(random_tree: Game):
    cache = new_cache(random_tree, 0.01, max_age=2)
    observation = np.zeros(8, np.uint8)
    assert look_up(cache, observation, 0) == NO_ENTRY
    add(cache, observation, 1, 5)
    found = [look_up(cache, observation, version) != NO_ENTRY for version in (4, 5, 6, 7, 8)]
    assert found == [False, True, True, True, False]
    add(cache, observation, 9, 8)
    assert cache.logits[look_up(cache, observation, 8), 0] == 9


def test_a_full_cache_replaces_the_older_of_two_usable_entries(random_tree: Game):
    cache = new_cache(random_tree, 2 * BYTES_PER_ENTRY / 1e6, max_age=10)
    observations = np.arange(24, dtype=np.uint8).reshape(3, 8)
    for version, observation in enumerate(observations[:2]):
        add(cache, observation, version, version)
    add(cache, observations[2], 2, 2)
    found = [look_up(cache, observation, 2) != NO_ENTRY for observation in observations]
    assert found == [False, True, True]


@pytest.mark.parametrize("name", ["connect_four", "othello", "dots_and_boxes"])
def test_all_views_of_a_position_have_one_smallest_view(name: str):
    """Also when a view has the same planes as the position itself."""
    game = load_game(name)
    cache = new_cache(game, 0.1, uses_views=True)
    rng = np.random.default_rng(0)
    for position in positions_on_the_way(game, rng, 40):
        planes = game.observation(position)[: game.num_planes]
        views = [planes.reshape(len(planes), -1)[:, cells].flatten() for cells in cache.cell_views]
        smallest = {in_smallest_view(cache, view).tobytes() for view in views}
        assert smallest == {min(view.tobytes() for view in views)}


@pytest.mark.parametrize("name", ["connect_four", "othello"])
def test_with_views_a_search_equals_one_by_an_evaluator_that_ignores_symmetry(name: str):
    """Such an evaluator answers in the smallest view of each position itself."""
    game = load_game(name)
    settings = SearchSettings(num_simulations=32, solve=False)
    rng = np.random.default_rng(1)
    positions = np.array(positions_on_the_way(game, rng, 20))
    canonical = new_cache(game, 0.1, uses_views=True)

    def evaluate(observation: bytes):
        return evaluate_in_smallest_view(game, canonical, observation)

    expected = Lockstep(game, settings, positions, evaluate)
    found = Lockstep(
        game, settings, positions, evaluate, cache=new_cache(game, 1.0, uses_views=True)
    )
    for lockstep in (expected, found):
        lockstep.search()
    np.testing.assert_array_equal(found.visits, expected.visits)
    np.testing.assert_array_equal(found.targets, expected.targets)
    np.testing.assert_array_equal(found.values, expected.values)
    assert found.cache.counts[1] > 0


def evaluate_in_smallest_view(game: Game, cache: EvaluationCache, observation: bytes):
    """Answers by the smallest view of the position, mapped back to the view that was asked for."""
    cells = game.board_shape[0] * game.board_shape[1]
    bits = np.unpackbits(np.frombuffer(observation, np.uint8), bitorder="little")
    planes = bits[: game.num_planes * cells]
    view = int(find_smallest_view(cache, planes))
    digest = np.frombuffer(in_smallest_view(cache, planes).tobytes(), np.uint8)
    rng = np.random.default_rng(digest)
    logits, win = rng.normal(size=game.num_actions).astype(np.float32), rng.uniform(0.1, 0.5)
    return logits[cache.action_views[view]].tolist(), (win, 0.25, 0.75 - win)


def positions_on_the_way(game: Game, rng: np.random.Generator, number: int) -> list[np.ndarray]:
    """The start and positions of random games, none of them terminal."""
    positions = [game.initial_position()]
    while len(positions) < number:
        action = int(rng.choice(game.possible_actions(positions[-1])))
        after = game.apply_action(positions[-1], action)
        positions.append(game.initial_position() if game.is_terminal(after) else after)
    return positions


def in_smallest_view(cache: EvaluationCache, planes: np.ndarray) -> np.ndarray:
    cells = cache.cell_views[find_smallest_view(cache, planes)]
    return planes.reshape(-1, len(cells))[:, cells].flatten()


@compiled(cache=False)
def find_smallest_view(cache, planes):
    return smallest_view(cache, planes)


def add(cache, observation: np.ndarray, number: int, version: int) -> None:
    logits = np.full(10, number, np.float32)
    add_compiled(cache, observation, logits, np.full(4, number, np.float32), version)


@compiled(cache=False)
def look_up(cache, observation, version):
    return find_entry(cache, observation, version)


@compiled(cache=False)
def add_compiled(cache, observation, logits, outcome, version):
    add_entry(cache, observation, logits, outcome, version)
