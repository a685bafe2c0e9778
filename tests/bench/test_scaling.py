"""Facts about the benchmark of ranks, and about the recorded episodes that it trains on."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from ddpzero.actors import ActorPool, WeightsChannel
from ddpzero.algorithms.loader import load_algorithm
from ddpzero.bench.recorded import record, recorded_episodes, recorded_spec
from ddpzero.bench.scaling import Scale, Training, bench_scaling
from ddpzero.bench.scaling_model import Constants, fit, predict
from ddpzero.bench.scaling_table import print_scales
from ddpzero.bench.untrained import untrained_updater
from ddpzero.config.hydra import compose_settings
from ddpzero.system.errors import UserError

TINY = [
    *("game=tic_tac_toe", "network.blocks=1", "network.channels=8", "search.num_simulations=4"),
    *("device=cpu", "actors.num_games=8", "actors.precision=float32", "learner.batch_size=16"),
    *("replay.capacity=3000", "replay.min_samples=100"),
]


def test_recorded_episodes_are_sent_again_and_again(tmp_path):
    settings = compose_settings(TINY)
    record(settings, 0, tmp_path / "recording.npz")
    episodes = recorded_episodes(tmp_path / "recording.npz")
    assert sum(episode.num_samples for episode in episodes) >= 2_000
    algorithm = load_algorithm(settings)
    weights = untrained_updater(algorithm, settings, 0).actor_weights()
    received = []
    with (
        WeightsChannel(weights) as channel,
        ActorPool(
            recorded_spec(tmp_path / "recording.npz"),
            channel,
            num_actors=1,
            rank=0,
            seed=0,
            sample_spec=algorithm.sample_spec(),
        ) as pool,
    ):
        channel.publish(weights, 1)
        while len(received) < len(episodes) + 3:
            received += pool.poll(0.1)
    assert [e.info["moves"] for e in received[: len(episodes)]] == [
        e.info["moves"] for e in episodes
    ]
    assert received[len(episodes)].info["moves"] == episodes[0].info["moves"]
    for name, column in episodes[1].columns.items():
        assert (received[1].columns[name] == column).all()


def test_a_recorded_actor_loads_no_torch():
    program = "import sys, ddpzero.bench.recorded; print('torch' in sys.modules)"
    words = [sys.executable, "-c", program]
    assert subprocess.check_output(words, text=True, timeout=60).strip() == "False"


@pytest.mark.slow
def test_two_ranks_are_measured_and_shown(capsys, monkeypatch):
    settings = compose_settings(TINY)
    (scale,) = bench_scaling(settings, 1.0, seed=0, ranks=[2])
    loop, training = scale.loop, scale.training
    assert scale.num_ranks == 2 and loop["updates"] >= 1
    assert loop["bare_step"] > 0 and loop["step_cpu"] > 0 and loop["vote"] > 0
    assert loop["most_overhead_cpu"] >= loop["overhead_cpu"]
    assert {"phase update", "phase wait for ranks"} <= loop.keys()
    assert training is not None and training.updates_per_second > 0
    assert training.cpu_seconds_per_update is not None and training.cpu_seconds_per_update > 0
    print_scales([scale], settings, 1.0, 0, as_json=True)
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {record["num_ranks"] for record in records} == {2}
    assert {"loop_overhead_cpu", "samples_per_second"} <= {record["figure"] for record in records}
    without_updates = replace(scale, training=Training(0.0, 50.0, None))
    for width in (80, 60):
        monkeypatch.setenv("COLUMNS", str(width))
        print_scales([scale, without_updates], settings, 1.0, 0, as_json=False)
        output = capsys.readouterr().out
        assert "wait for ranks" in output and "barrier" in output and "…" not in output
        assert max(map(len, output.splitlines())) <= width


@pytest.mark.slow
def test_ranks_that_fail_are_told_in_a_sentence():
    settings = compose_settings([*TINY, "learner.optimizer=sgd", "learner.learning_rate=1e30"])
    with pytest.raises(UserError, match=r"2 ranks failed: .*(diverge|finite)"):
        list(bench_scaling(settings, 1.0, seed=0, ranks=[2], trains=False))


def scale(num_ranks: int) -> Scale:
    """Measurements that follow the model: a hop of 50 us, and 10 and 5 us for each other rank."""
    others, hops = num_ranks - 1, [0, 0, 1, 0, 2][num_ranks]
    vote = (others > 0) * 50e-6 + 10e-6 * others + 50e-6 * hops
    loop = {
        "overhead_cpu": 100e-6,
        "vote": vote,
        "most_vote_cpu": 10e-6 * others,
        "most_barrier_cpu": 5e-6 * others,
        "row_cpu": 2e-3 + 1e-4 * others,
    }
    return Scale(num_ranks, loop, None)


def test_the_model_finds_its_constants_again():
    fitted = fit([scale(1), scale(2), scale(4)])
    expected = Constants(100e-6, 50e-6, 10e-6, 5e-6, 2e-3, 1e-4)
    assert fitted is not None and fitted._asdict() == pytest.approx(expected._asdict())
    assert fit([scale(1)]) is None and fit([scale(2)]) is None


def test_the_model_adds_what_ranks_say_to_each_other():
    settings = compose_settings([*TINY, "learner.steps_per_epoch=100"])
    constants = Constants(100e-6, 50e-6, 10e-6, 5e-6, 2e-3, 1e-4)
    eight = predict(constants, settings, 8)
    assert eight.vote == pytest.approx(50e-6 + 7 * 10e-6 + 3 * 50e-6)
    assert eight.barrier == pytest.approx(2 * 50e-6 + 7 * 5e-6)
    # One row in 500 updates of 20 ms: 5 exchanges and 6 trees; an epoch of 100: a barrier and 4 trees.
    row = 2e-3 + 7e-4 + 5 * eight.vote + 6 * 150e-6
    epoch = eight.barrier + 4 * 150e-6
    assert eight.update[1] == pytest.approx(100e-6 + row / 500 + epoch / 100 + eight.vote)
    assert eight.update[8] == pytest.approx(eight.update[1] - eight.vote * 7 / 8)
    # On eight nodes a message between them takes 30 us more: one on its way to rank 0, three along the tree.
    many = predict(constants, settings, 64)
    assert many.vote == pytest.approx(50e-6 + 63 * 10e-6 + 6 * 50e-6 + 4 * 30e-6)


@pytest.mark.slow
def test_a_loop_without_time_still_makes_updates():
    settings = compose_settings(TINY)
    (scale,) = bench_scaling(settings, 0.0, 0, (1,), trains=False)
    assert scale.loop["updates"] >= 1 and scale.loop["step"] > 0
