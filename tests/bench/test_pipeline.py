"""Facts about the benchmarks of actors, evaluators and simulated devices."""

from __future__ import annotations

import json

import pytest
import torch

from ddpzero.actors import EvaluatorSpec
from ddpzero.actors.exchange import LaneSize
from ddpzero.bench import evaluator as evaluator_module
from ddpzero.bench import pipeline as pipeline_module
from ddpzero.bench.evaluator import bench_evaluator
from ddpzero.bench.memory import bench_memory
from ddpzero.bench.pipeline import Trial, bench_pipeline, print_trials, recommended
from ddpzero.bench.scaling import bench_scaling
from ddpzero.bench.self_play import SelfPlayRates
from ddpzero.config.hydra import compose_settings
from ddpzero.system.errors import UserError
from tests.places import REPO

TINY = [
    *("game=tic_tac_toe", "network.blocks=1", "network.channels=8", "search.num_simulations=4"),
    *("device=cpu", "actors.num_games=8", "actors.precision=float32"),
]


def trial(num_actors: int, num_games: int, rate: float) -> Trial:
    return Trial(num_actors, num_games, SelfPlayRates(rate, None, 0.0, None, 0))


def test_the_cheapest_of_the_fast_settings_is_recommended():
    trials = [trial(1, 8, 50), trial(2, 8, 98.5), trial(2, 16, 99), trial(4, 8, 100)]
    assert recommended(trials) is trials[1]
    assert recommended(trials[:1]) is trials[0]


REINFORCE = ["algorithm=own", f"algorithm.source={REPO / 'tests/data/algorithms/reinforce.py'}"]


@pytest.mark.parametrize(
    "overrides",
    [["+experiment=snakes", "game.steps=20"], [*REINFORCE, "game=tic_tac_toe"]],
    ids=["teams", "a plugin that counts nothing"],
)
def test_actors_without_a_search_are_measured_too(overrides):
    settings = compose_settings([*overrides, "device=cpu", "actors.num_games=8"])
    (trial,) = bench_pipeline(settings, 1.5, seed=0, actors=[1], games=[8])
    assert trial.rates.positions_per_second > 0 and trial.rates.simulations_per_second == 0


def test_a_simulated_device_is_measured_and_shown(capsys):
    settings = compose_settings(
        [*TINY, "evaluator=simulated", "simulated.batch_latency_ms=3", "simulated.noise=0"]
    )
    trials = bench_pipeline(settings, 0.5, seed=0, actors=[1], games=[4, 8])
    assert [(each.num_actors, each.num_games) for each in trials] == [(1, 4), (1, 8)]
    for each in trials:
        rates = each.rates
        assert 0 < rates.busy <= 1 and rates.positions_per_batch <= each.num_games
        # The device takes 3 ms for a batch.
        assert rates.positions_per_second <= rates.positions_per_batch / 0.003 * 1.05
        assert rates.actor_bytes > 2**20
    print_trials(trials, settings, 0.5, 0, as_json=True)
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {record["figure"] for record in records} >= {"device_busy", "positions_per_second"}
    assert (
        sum(record["figure"] == "is_recommended" and record["value"] == 1 for record in records)
        == 1
    )
    print_trials(trials, settings, 0.5, 0, as_json=False)
    output = capsys.readouterr().out
    assert "* recommended: actors.num_actors=1 actors.num_games=" in output
    assert max(map(len, output.splitlines())) <= 80


@pytest.mark.parametrize("evaluator", ["local", "shared"])
def test_no_seconds_are_enough_for_a_rate(evaluator):
    settings = compose_settings([*TINY, f"evaluator={evaluator}"])
    (trial,) = bench_pipeline(settings, 0.0, seed=0, actors=[1], games=[8])
    assert trial.rates.positions_per_second > 0


@pytest.mark.parametrize("evaluator", ["local", "shared", "simulated"])
@pytest.mark.parametrize(("actors", "games"), [([1, 100_000], [8]), ([1], [8, 1_000_000_000])])
def test_what_does_not_fit_into_the_memory_is_refused_before_anything_starts(
    evaluator, actors, games, monkeypatch
):
    monkeypatch.setattr(pipeline_module, "measure_self_play", lambda *_: pytest.fail("started"))
    settings = compose_settings([*TINY, f"evaluator={evaluator}"])
    with pytest.raises(UserError, match=r"actors\.num_(actors=100000|games=1000000000) .*GiB free"):
        bench_pipeline(settings, 0.1, seed=0, actors=actors, games=games)


@pytest.mark.parametrize("override", ["device=cuda", "device=mps", "actors.device=cuda:1"])
def test_what_is_measured_on_the_cpu_takes_no_other_device(override):
    settings = compose_settings([*TINY, override])
    key = override.partition("=")[0]
    for bench in (
        lambda: bench_pipeline(settings, 0.1, seed=0),
        lambda: bench_evaluator(settings, 0.1, seed=0),
        lambda: bench_memory(settings, 0.1, seed=0),
        lambda: list(bench_scaling(settings, 0.1, seed=0, ranks=[1])),
    ):
        with pytest.raises(UserError, match=rf"{key}=.*evaluates on the CPU; remove it.*gpu_check"):
            bench()


def test_actors_that_evaluate_by_themselves_are_measured():
    settings = compose_settings([*TINY, "evaluator=local"])
    (found,) = bench_pipeline(settings, 0.5, seed=0, actors=[1], games=[8])
    assert found.rates.busy is None and found.rates.positions_per_second > 0


def test_both_evaluators_are_measured():
    settings = compose_settings(TINY)
    figures = {figure.figure: figure for figure in bench_evaluator(settings, 0.5, seed=0)}
    # Without the start of the process, which takes a second.
    assert 0 < figures["round_trip_of_64"].value < 500_000
    assert figures["shared_fraction_of_local"].value > 0
    assert figures["shared_positions_per_second"].settings["batch_size"] == 4


def test_an_evaluator_that_ends_is_not_waited_for():
    weights = {"weight": torch.zeros(1)}
    spec = EvaluatorSpec("ddpzero.bench.evaluator:no_such_factory", LaneSize(1, 8, 8))
    with (
        pytest.raises(UserError, match=r"the evaluator of the benchmark ended: .*no_such_factory"),
        evaluator_module._process(spec, weights) as exchange,
    ):
        lane = exchange.lane(0, 0)
        lane.submit(1, 0, 0)
        lane.wait()
