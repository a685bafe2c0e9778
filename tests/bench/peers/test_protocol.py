"""Facts about how a measured program counts, and how it chooses its batch."""

from __future__ import annotations

import time

from ddpzero.bench.peers.programs.protocol import Slice, fastest, measure


def working(seconds: float, counts: dict[str, float]):
    def run() -> dict[str, float]:
        until = time.process_time() + seconds
        while time.process_time() < until:
            pass
        return counts

    return run


def test_a_slice_ends_with_the_first_whole_run_after_its_time():
    found = measure(working(0.002, {"steps": 5, "games": 1}), 0.01)
    assert found.seconds >= 0.01 and found.cpu_seconds >= 0.002
    num_runs = found.counts["games"]
    assert num_runs >= 1 and found.counts["steps"] == 5 * num_runs
    # None of the counted runs began after the end.
    assert found.cpu_seconds >= 0.002 * num_runs


def test_one_run_is_measured_however_long_it_is():
    assert measure(working(0.01, {"steps": 1}), 0.0).counts == {"steps": 1}


def test_a_rate_is_per_second_of_cpu_time():
    assert Slice(seconds=4.0, cpu_seconds=2.0, counts={"steps": 10.0}).rate("steps") == 5.0


def test_the_fastest_size_is_chosen_and_larger_ones_after_a_worse_one_are_not_tried():
    steps = {32: 100.0, 64: 200.0, 128: 190.0, 256: 20.0, 512: 900.0}
    tried: list[int] = []

    def run_of(size: int):
        tried.append(size)
        return working(0.001, {"steps": steps[size]})

    assert fastest(steps, run_of, "steps", seconds=0.05) == 64
    assert tried == [32, 64, 128, 256]
