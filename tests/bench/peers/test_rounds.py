"""Facts about programs that are measured in turn, and about those that fail."""

from __future__ import annotations

import os

import psutil
import pytest

from ddpzero.bench.peers.rounds import NUM_ROUNDS, Measured, measure_in_turn
from tests.bench.peers.fake_program import BODIES, counting_program, failing_program
from tests.waiting import wait_for

REQUEST = {
    "workload": "rules",
    "core": max(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
}


def measure(commands: dict[str, list[str]]) -> dict[str, Measured]:
    return measure_in_turn(
        commands, REQUEST, 0.1, lambda step: None, prepare_seconds=10.0, grace_seconds=1.0
    )


def test_each_program_is_measured_in_each_round(tmp_path):
    steps: list[str] = []
    found = measure_in_turn(
        {
            "slow": counting_program(tmp_path, "slow", 100),
            "fast": counting_program(tmp_path, "fast", 300),
        },
        REQUEST,
        0.1,
        steps.append,
    )
    assert steps == ["rules: slow prepares", "rules: fast prepares", "rules: slow, fast, in turn"]
    for measured in found.values():
        assert measured.problem == ""
        assert measured.versions == {"fake": "1.5"}
        core_ids = None if REQUEST["core"] is None else [REQUEST["core"]]
        assert measured.variants == {"best": {"batch_size": 7, "core_ids": core_ids}}
        assert len(measured.slices["best"]) == NUM_ROUNDS
        for each in measured.slices["best"]:
            assert each.seconds >= 0.1 / NUM_ROUNDS
            # Whole runs, each of a millisecond of CPU time.
            assert each.cpu_seconds >= 0.001
    slow, fast = (found[name].slices["best"][0] for name in ("slow", "fast"))
    assert slow.counts["steps"] % 100 == 0 and fast.counts["steps"] % 300 == 0
    assert slow.rate("steps") <= 100_000 and slow.rate("steps") < fast.rate("steps")


PROBLEMS = {
    "refuses": "it knows no such game",
    "has no such workload": "it has no rules to compare",
    "dies at once": "it ended with exit code 1: no module named jax",
    "dies when measured": "it ended with exit code 3",
    "is killed": "it ended by signal 9",
    "hangs when measured": "it did not answer within 1.01 s",
    "talks nonsense": "it answered 'nonsense', which is no JSON object",
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_a_program_that_fails_says_why_and_the_others_go_on(name, tmp_path):
    found = measure(
        {"bad": failing_program(tmp_path, name), "good": counting_program(tmp_path, "good", 1)}
    )
    assert (found["bad"].problem, found["bad"].slices) == (PROBLEMS[name], {})
    assert len(found["good"].slices["best"]) == NUM_ROUNDS


def test_a_program_that_never_prepares_is_ended(tmp_path):
    command = failing_program(tmp_path, "hangs")
    found = measure_in_turn(
        {"hangs": command}, REQUEST, 0.1, lambda step: None, prepare_seconds=1.0
    )
    assert found["hangs"].problem == "it did not answer within 1 s"
    assert not running(command[-1])


def test_every_failure_is_tested():
    assert {*PROBLEMS, "hangs"} == set(BODIES)


def test_no_program_is_left_after_an_error(tmp_path):
    command = counting_program(tmp_path, "left", 1)

    def interrupt(step: str) -> None:
        if "in turn" in step:
            assert wait_for(lambda: running(command[-1]))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure_in_turn({"left": command}, REQUEST, 0.1, interrupt)
    assert not running(command[-1])


def running(file: str) -> bool:
    """Return whether a process runs this file."""
    return any(
        file in (process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])
    )
