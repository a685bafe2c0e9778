"""A simulated device takes its time, and its answers are ones that a search accepts."""

from __future__ import annotations

import time

import numpy as np

from ddpzero.evaluators.lanes import layout_for
from ddpzero.evaluators.simulated import SimulatedEvaluator
from ddpzero.games import load_game

LAYOUT = layout_for(load_game("connect_four"), 8)


def test_a_batch_takes_its_latency_and_the_time_of_its_positions():
    outputs = [np.full(LAYOUT.output_floats, np.nan, np.float32) for _ in range(2)]
    evaluator = SimulatedEvaluator([LAYOUT], 0.02, 400, noise=0.0, max_requests=2)
    evaluator.receive({}, 1)
    started = time.perf_counter()
    evaluator.start(0, [8, 4], [])
    assert not evaluator.is_finished()
    evaluator.finish(outputs)
    assert time.perf_counter() - started >= 0.02 + 12 / 400
    for rows, lane in zip([8, 4], outputs, strict=True):
        logits, outcomes = LAYOUT.answers(lane)
        assert np.isfinite(logits[:rows]).all()
        assert outcomes[:rows, :3].sum(axis=1).tolist() == [1.0] * rows
        assert np.isnan(logits[rows:]).all() and np.isnan(outcomes[rows:]).all()


def test_noise_changes_the_time_of_batches_alone():
    rng = np.random.default_rng(0)
    seconds = []
    evaluator = SimulatedEvaluator([LAYOUT], 0.01, 1e9, noise=0.3, max_requests=1, seed=1)
    output = np.zeros(LAYOUT.output_floats, np.float32)
    for _ in range(12):
        started = time.perf_counter()
        evaluator.start(0, [int(rng.integers(1, 9))], [])
        evaluator.finish([output])
        seconds.append(time.perf_counter() - started)
    assert max(seconds) > 1.2 * min(seconds)


def test_two_batches_take_their_times_one_after_the_other():
    outputs = [np.zeros(LAYOUT.output_floats, np.float32)]
    evaluator = SimulatedEvaluator([LAYOUT], 0.02, 1e9, noise=0.0, max_requests=1)
    assert evaluator.max_under_way == 2
    started = time.perf_counter()
    evaluator.start(0, [8], [])
    evaluator.start(0, [8], [])
    for number in (1, 2):
        evaluator.finish(outputs)
        assert time.perf_counter() - started >= number * 0.02
