"""Memory: estimates come from the code that allocates; sizes that no machine has are refused before they are tried."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
import torch

from ddpzero.algorithms.alphazero.memory import searches_size_bytes
from ddpzero.algorithms.alphazero.player import _SHARE_OF_MEMORY, AlphaZeroPlayer
from ddpzero.algorithms.alphazero.selfplay import episode_buffers_size_bytes, new_episode_buffers
from ddpzero.algorithms.ddpg.samples import episodes_layout
from ddpzero.algorithms.loader import load_algorithm
from ddpzero.cli.commands import main
from ddpzero.config.hydra import compose_settings
from ddpzero.games import load_any_game, load_game
from ddpzero.networks import NetworkSettings, make_network
from ddpzero.search import SearchSettings
from ddpzero.search.config import config_size_bytes, search_config
from ddpzero.search.forest import forest_size_bytes, new_forest
from ddpzero.search.search import SearchResult
from ddpzero.settings import Settings
from ddpzero.system.errors import UserError
from ddpzero.system.machine import Memory
from ddpzero.system.memory import (
    Factor,
    Need,
    check_memory,
    empty_arrays,
    largest_fitting,
    layout_size_bytes,
)
from ddpzero.training.preflight import check_run_memory, run_needs

GIB = 2**30
SMALL_MACHINE = Memory(limit_bytes=8 * GIB, free_bytes=6 * GIB)
CPU = torch.device("cpu")


def arrays_in(parts: Iterable[Any]) -> list[np.ndarray]:
    found: list[np.ndarray] = []
    for part in parts:
        found += [part] if isinstance(part, np.ndarray) else arrays_in(part or ())
    return found


def owned_bytes(parts: Iterable[Any]) -> int:
    """Bytes of all arrays; what several are views of counts once."""
    owners = [array if array.base is None else array.base for array in arrays_in(parts)]
    return sum({id(owner): owner.nbytes for owner in owners}.values())


@pytest.mark.parametrize("proof_plies", [(0, 0), (5, 3), (10**9, 10**9)])
@pytest.mark.parametrize("name", ["tic_tac_toe", "dots_and_boxes", "othello"])
def test_the_estimate_of_a_forest_is_what_is_allocated(name, proof_plies):
    game = load_game(name)
    endgame_plies, forced_win_plies = proof_plies
    settings = SearchSettings(
        leaves_per_round=4, endgame_plies=endgame_plies, forced_win_plies=forced_win_plies
    )
    forest = new_forest(game, settings, 7, 33, seed=0)
    assert forest_size_bytes(game, settings, 7, 33) == owned_bytes(forest)


@pytest.mark.parametrize("name", ["connect_four", "dots_and_boxes"])
def test_the_estimate_of_a_record_is_what_is_allocated(name):
    game = load_game(name)
    assert episode_buffers_size_bytes(game, 5) == owned_bytes(new_episode_buffers(game, 5))


def test_the_estimate_of_the_tables_of_a_search_covers_them():
    game, settings = load_game("connect_four"), SearchSettings(num_simulations=500)
    config = search_config(settings, game)
    assert config_size_bytes(settings) >= owned_bytes([config.exploration])


def test_the_estimate_of_games_of_snakes_is_what_is_allocated():
    settings = compose_settings(["+experiment=snakes"]).sections["algorithm"]
    layout = episodes_layout(load_any_game("snakes"), settings, 3)
    assert layout_size_bytes(layout) == owned_bytes(empty_arrays(layout).values())


@pytest.mark.parametrize(
    "network",
    [
        NetworkSettings(blocks=1, channels=8),
        NetworkSettings(name="attention", blocks=3, channels=16),
        NetworkSettings(name="nested_bottleneck", blocks=2, channels=6, value_head="dense"),
    ],
    ids=lambda network: network.name,
)
def test_a_network_has_at_least_the_parameters_that_its_settings_promise(network):
    module = make_network(load_game("tic_tac_toe"), network)
    assert sum(p.numel() for p in module.parameters()) >= network.min_parameters


@pytest.mark.parametrize("experiment", ["tic_tac_toe", "quick", "gomoku", "go9", "snakes"])
def test_presets_for_small_machines_fit_into_six_gib(experiment):
    settings = compose_settings(
        [f"+experiment={experiment}", "device=cpu", "replay.capacity=200000"]
    )
    assert check_run_memory(settings, 1, CPU, CPU, 1, SMALL_MACHINE) == []


# ------------------------------------------------------------------------------------ impossible sizes

TINY = [
    *("game=tic_tac_toe", "device=cpu", "network.blocks=1", "network.channels=16"),
    *("search.num_simulations=8", "actors.num_actors=1", "actors.num_games=8"),
    *("replay.capacity=4000", "replay.min_samples=200", "learner.batch_size=32"),
]
SNAKES = ["+experiment=snakes", "device=cpu", "actors.num_actors=1"]


def sentence_of(overrides: list[str]) -> str:
    with pytest.raises(UserError) as caught:
        settings = compose_settings(overrides)
        check_run_memory(settings, settings.actors.num_actors or 1, CPU, CPU, 1, SMALL_MACHINE)
    return str(caught.value)


@pytest.mark.parametrize("value", [10**9, 10**12, 10**18])
@pytest.mark.parametrize(
    ("base", "key"),
    [
        (TINY, "replay.capacity"),
        (TINY, "search.num_simulations"),
        (TINY, "search.leaves_per_round"),
        (TINY, "actors.num_games"),
        (TINY, "actors.num_actors"),
        (TINY, "algorithm.evaluation_cache_megabytes"),
        (TINY, "network.channels"),
        ([*TINY, f"replay.capacity={2 * 10**18}"], "learner.batch_size"),
        ([*TINY, "learner.schedule=rounds"], "learner.episodes_per_round"),
        (SNAKES, "replay.capacity"),
        (SNAKES, "network.width"),
        ([*SNAKES, "network=ddpg/torus_cnn", "algorithm.observation=planes"], "network.channels"),
        (SNAKES, "opponent.num_past_selves"),
        (SNAKES, "actors.num_games"),
    ],
    ids=lambda part: part if isinstance(part, str) else "",
)  # fmt: skip
def test_an_impossible_size_is_told_with_its_key_and_both_sizes(base, key, value):
    overrides = [*base, f"{key}={value}"]
    if key == "learner.batch_size":
        overrides.remove(f"replay.capacity={2 * 10**18}")
        overrides.append(f"replay.capacity={value}")
    sentence = sentence_of(overrides)
    assert "\n" not in sentence
    assert f"{key}=" in sentence
    assert "GiB" in sentence
    assert "on this machine, which has 6.0 GiB free for ddpzero: lower it" in sentence


def test_what_is_proposed_instead_of_an_impossible_size_fits():
    sentence = sentence_of([*TINY, "replay.capacity=1000000000"])
    fitting = int(sentence.partition("lower it to ")[2].partition(" ")[0])
    settings = compose_settings([*TINY, f"replay.capacity={fitting}"])
    assert check_run_memory(settings, 1, CPU, CPU, 1, Memory(8 * GIB, 8 * GIB)) == []


def test_a_size_beyond_what_was_ever_trained_is_refused_before_it_is_built():
    for key in ("network.blocks", "network.layers"):
        base = TINY if key == "network.blocks" else SNAKES
        assert f"{key}=1000000000 must be at most 1000." in sentence_of(
            [*base, f"{key}=1000000000"]
        )


def test_a_buffer_that_fits_when_others_make_room_is_a_warning():
    settings = compose_settings([*TINY, "replay.capacity=110000000"])
    [warning] = check_run_memory(settings, 1, CPU, CPU, 1, SMALL_MACHINE)
    assert warning.startswith("replay.capacity=110000000 needs 7.0 GiB")
    assert "which has 6.0 GiB free for ddpzero" in warning
    assert "will be killed when that fills up" in warning


def test_trees_that_do_not_fit_now_are_refused_although_others_could_make_room():
    needs = [Need("for search trees", 7 * GIB, (Factor("search.num_simulations", 700, 100),))]
    with pytest.raises(UserError, match="lower it to 600 at most"):
        check_memory(needs, SMALL_MACHINE)


def test_all_ranks_of_a_machine_count():
    needs = [Need("for trees", 4 * GIB, (Factor("actors.num_games", 128, 128),))]
    assert check_memory(needs, SMALL_MACHINE, num_ranks=1) == ""
    with pytest.raises(UserError, match=r"needs 8.0 GiB \(2 ranks\) for trees on this machine"):
        check_memory(needs, SMALL_MACHINE, num_ranks=2)


def test_the_setting_furthest_above_its_default_is_named():
    factors = (Factor("actors.num_games", 256, 128), Factor("search.num_simulations", 10_000, 100))
    with pytest.raises(UserError, match=r"^search.num_simulations=10000 needs"):
        check_memory([Need("for trees", 9 * GIB, factors)], SMALL_MACHINE)


def test_on_a_gpu_the_network_needs_memory_of_the_gpu():
    settings: Settings = compose_settings(TINY)
    algorithm = load_algorithm(settings)
    on_cpu = run_needs(settings, algorithm, 2, on_gpu=False, actors_on_gpu=False)
    on_gpu = run_needs(settings, algorithm, 2, on_gpu=True, actors_on_gpu=True)
    assert not any(need.on_gpu and need.size_bytes for need in on_cpu)
    # Each actor has a context on the GPU; all else is needed on the one or the other.
    contexts = 2 * 500 * 2**20
    assert sum(n.size_bytes for n in on_cpu) == sum(n.size_bytes for n in on_gpu) - contexts


def test_games_at_once_are_as_many_as_fit():
    assert largest_fitting(lambda n: 10 * n, 256, 1000) == 64
    assert largest_fitting(lambda n: 10 * n, 256, 2560) == 256
    assert largest_fitting(lambda n: 10 * n, 256, 5) == 1


# ------------------------------------------------------------------------------------------- the tools


@pytest.mark.parametrize(
    ("arguments", "place"),
    [
        (["match", "random", "rollout:5000000000", "--game", "tic_tac_toe"], "rollout:5000000000"),
        (["match", "random", "random", "--game", "tic_tac_toe", "--games", str(10**12)], "--games 1000000000000"),
        (["match", "greedy", "bfs", "--game", "snakes", "--games", str(10**12)], "--games 1000000000000"),
        (["bench", "search", "search.num_simulations=1000000000"], "search.num_simulations=1000000000"),
        (["bench", "search", "evaluator=network", "actors.num_games=1000000000"], "actors.num_games=1000000000"),
        (["bench", "learner", "network.channels=1000000000"], "network.channels=1000000000"),
    ],
)  # fmt: skip
def test_the_tools_refuse_impossible_sizes_too(arguments, place, capsys):
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"ddpzero: {place} needs ")
    assert printed.err.count("\n") == 1
    assert "GiB free for ddpzero" in printed.err


def test_a_player_searches_as_many_positions_at_once_as_memory_allows(monkeypatch):
    game = load_game("gomoku")
    search = SearchSettings(num_simulations=1000)
    of_eight = searches_size_bytes(game, search, 8)
    monkeypatch.setattr(
        "ddpzero.algorithms.alphazero.player.usable_memory",
        lambda: Memory(8 * GIB, int(1.01 * of_eight / _SHARE_OF_MEMORY)),
    )
    network = make_network(game, NetworkSettings(blocks=1, channels=4))
    player = AlphaZeroPlayer(game, network, search, "player", "cpu", precision="float32")
    searched: list[int] = []

    def count(positions: np.ndarray) -> SearchResult:
        searched.append(len(positions))
        nothing = np.zeros(len(positions))
        return SearchResult(nothing, nothing, nothing, nothing, nothing)

    monkeypatch.setattr(player, "_search_some", count)
    player.choose(game.new_positions(20), np.random.default_rng(0))
    assert searched == [8, 8, 4]


def test_a_player_says_how_many_simulations_fit():
    game = load_game("gomoku")
    network = make_network(game, NetworkSettings(blocks=1, channels=4))
    search = SearchSettings(num_simulations=10**12)
    with pytest.raises(UserError, match=r"^--simulations 1000000000000 needs .* GiB"):
        AlphaZeroPlayer(
            game, network, search, "player", "cpu", "float32", simulations_key="--simulations "
        )
