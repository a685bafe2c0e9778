"""Facts about the benchmark of the search; never about how fast it is."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from ddpzero.bench import search as search_module
from ddpzero.bench.search import EndlessSearches, bench_search
from ddpzero.config.hydra import compose_settings
from ddpzero.evaluators.uniform import UniformEvaluator
from ddpzero.games import load_game
from ddpzero.networks import make_network
from ddpzero.run.ranks import join_ranks
from ddpzero.search import SearchSettings
from ddpzero.settings import Settings
from ddpzero.system.errors import UserError
from tests.run.checkpointed_runs import saved_run, snapshot


def settings(*overrides: str) -> Settings:
    small = ["actors.num_games=8", "search.num_simulations=20"]
    return compose_settings(["game=tic_tac_toe", *small, *overrides])


def test_a_uniform_evaluator_gives_simulations_per_second():
    figures = bench_search(settings("search=puct"), "uniform", seconds=0.0)
    assert [figure.figure for figure in figures] == [
        "simulations_per_second",
        "simulations_per_cpu_second",
    ]
    assert all(figure.value > 0 for figure in figures)


def test_a_network_adds_the_bare_forward_rate_and_the_fraction_of_it():
    small = settings("network.blocks=1", "network.channels=8", "actors.device=cpu")
    figures = bench_search(small, "network", seconds=0.0)
    assert [figure.figure for figure in figures] == [
        "simulations_per_second",
        "forward_per_second",
        "fraction_of_forward",
        "new_position_simulations_per_cpu_second",
        "new_position_fraction_of_lockstep",
        "new_position_first_result",
        "one_game_simulations_per_cpu_second",
        "one_game_fraction_of_lockstep",
        "one_game_first_result",
    ]
    assert all(figure.value > 0 for figure in figures)


def test_the_network_can_be_that_of_a_run(tmp_path, monkeypatch):
    searched = []

    class Spy(search_module.NetworkEvaluator):
        def __init__(self, network, *arguments, **options):
            searched.append(network.state_dict())
            super().__init__(network, *arguments, **options)

    monkeypatch.setattr(search_module, "NetworkEvaluator", Spy)
    small = settings("network.blocks=1", "network.channels=8", "actors.device=cpu")
    trained = make_network(load_game("tic_tac_toe"), small.sections["network"], ("soft_policy",))
    with join_ranks("cpu", 30) as alone:
        saved_run(tmp_path / "old", alone).save(snapshot(1, weights=trained.state_dict()))
    of_run = replace(small, init_from="old", runs_dir=str(tmp_path))
    figures = bench_search(of_run, "network", seconds=0.0)
    assert json.loads(figures[0].to_json())["init_from"] == "old"
    for name, weight in searched[0].items():
        assert torch.equal(weight, trained.state_dict()[name])
    other = settings("network.blocks=1", "network.channels=16", "actors.device=cpu")
    with pytest.raises(UserError, match=r"init_from=old: the networks of .* differ"):
        bench_search(replace(other, init_from="old", runs_dir=str(tmp_path)), "network")


def test_a_json_line_tells_how_to_measure_again():
    figure = bench_search(settings("search=gumbel"), "uniform", seconds=0.0, seed=3)[0]
    line = json.loads(figure.to_json())
    assert line["bench"] == "search" and line["game"] == "tic_tac_toe"
    assert line["evaluator"] == "uniform" and line["algorithm"] == "gumbel"
    assert line["num_games"] == 8 and line["num_simulations"] == 20 and line["seed"] == 3


def test_an_unknown_evaluator_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match=r"evaluator=magic .* uniform or network"):
        bench_search(settings(), "magic")


def test_a_search_without_budget_is_refused():
    with pytest.raises(ValueError, match=r"search\.num_simulations=0"):
        bench_search(settings("search.num_simulations=0"))


@pytest.mark.parametrize("num_groups", [1, 2])
def test_searches_follow_each_other_without_end_and_every_simulation_counts(num_groups: int):
    game = load_game("tic_tac_toe")
    settings = SearchSettings(num_simulations=10, solve=False)
    searches = EndlessSearches(game, settings, 8, num_groups, seed=0)
    evaluator = UniformEvaluator(game, searches.max_batch, num_slots=num_groups)
    searches.begin(evaluator)
    before = 0
    for _ in range(100):
        num_submitted = searches.advance(evaluator)
        assert 0 < num_submitted <= 8
        assert searches.num_simulations >= before
        before = searches.num_simulations
    # At least one search of each game in eleven rounds: a round is a root or a simulation, or more.
    assert searches.num_simulations >= 8 * 9 * 10


def test_a_search_that_is_solved_early_makes_room_for_the_next():
    game = load_game("tic_tac_toe")
    searches = EndlessSearches(game, SearchSettings(num_simulations=10_000), 8, 1, seed=0)
    evaluator = UniformEvaluator(game, searches.max_batch, num_slots=1)
    searches.begin(evaluator)
    for _ in range(3000):
        searches.advance(evaluator)
    assert searches._num_finished > 0


def test_positions_differ_and_none_is_over():
    game = load_game("tic_tac_toe")
    positions = game.random_positions(50, np.random.default_rng(0))
    assert not any(game.is_terminal(position) for position in positions)
    assert len(np.unique(positions, axis=0)) > 25
