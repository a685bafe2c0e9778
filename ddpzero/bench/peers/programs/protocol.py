"""What a measured program and `ddpzero bench peers` say to each other: one line of JSON each way.

    {"workload": "search", "core": 1, ...}      -> {"versions": {...}, "variants": {"best": {"batch_size": 128, ...}}}
    {"measure": "best", "seconds": 2.0}         -> {"seconds": 2.1, "cpu_seconds": 2.1, "counts": {"simulations": 9600}}

The first line prepares: everything is compiled and warm when it is answered. {"problem": "a sentence"} answers a
request that cannot be met. The end of the input ends the program. Imports only the standard library: peers run it with
their own Python.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

_Candidate = TypeVar("_Candidate")
_CLEARLY_WORSE = 0.85

Counts = dict[str, float]


class Problem(Exception):
    """Why a workload cannot be measured: a sentence for the user."""


class Variant(NamedTuple):
    """One way to run a workload. run: works for a moment, returns how much it did. conditions: what it ran with."""

    run: Callable[[], Counts]
    conditions: dict[str, Any]


class Prepared(NamedTuple):
    """Ready to be measured. versions: of the libraries. variants: by their names, see report.py."""

    versions: dict[str, str]
    variants: dict[str, Variant]


class Slice(NamedTuple):
    """Counts of some time. cpu_seconds: of all threads of the process."""

    seconds: float
    cpu_seconds: float
    counts: Counts

    def rate(self, count: str) -> float:
        """Return what was counted per second of CPU time, which other programs on the core hardly influence."""
        return self.counts[count] / max(self.cpu_seconds, 1e-9)


def measure(run: Callable[[], Counts], seconds: float) -> Slice:
    """Run until `seconds` have passed, and at least once."""
    counts: Counts = {}
    started, cpu_started = time.perf_counter(), time.process_time()
    while True:
        for name, number in run().items():
            counts[name] = counts.get(name, 0) + number
        passed = time.perf_counter() - started
        if passed >= seconds:
            return Slice(passed, time.process_time() - cpu_started, counts)


def fastest(
    candidates: Iterable[_Candidate],
    run_of: Callable[[_Candidate], Callable[[], Counts]],
    count: str,
    seconds: float = 1.0,
) -> _Candidate:
    """Return the candidate that counts most per second; each runs once to compile, then for `seconds`.

    Give sizes in ascending order: those after one that is clearly worse than the best are not tried.
    """
    best_rate, best = -1.0, None
    for candidate in candidates:
        run = run_of(candidate)
        run()
        rate = measure(run, seconds).rate(count)
        if rate < _CLEARLY_WORSE * best_rate:
            break
        if rate > best_rate:
            best_rate, best = rate, candidate
    assert best is not None
    return best


def serve(
    workloads: Mapping[str, Callable[[Mapping[str, Any]], Prepared]],
) -> None:
    """Answer requests until the input ends. workloads: what prepares each; raises Problem if it cannot."""
    # What libraries print must not get between the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    prepared: Prepared | None = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if "measure" in request:
                if prepared is None:
                    raise Problem("it was asked to measure before it was prepared")
                variant = prepared.variants[request["measure"]]
                answer: dict[str, Any] = measure(variant.run, request["seconds"])._asdict()
            else:
                prepare = workloads.get(request["workload"])
                if prepare is None:
                    raise Problem(f"it has no {request['workload']} to compare")
                pin(request["core"])
                prepared = prepare(request)
                variants = prepared.variants.items()
                answer = {
                    "versions": prepared.versions,
                    "variants": {name: variant.conditions for name, variant in variants},
                }
        except Problem as problem:
            answer = {"problem": str(problem)}
        print(json.dumps(answer), file=answers, flush=True)


def pin(core: int | None) -> None:
    """Keep this process, and all threads that it starts, on one core. None: where the system cannot."""
    if core is not None:
        os.sched_setaffinity(0, {core})


def versions_of(packages: Sequence[str]) -> dict[str, str]:
    """Return the installed versions."""
    from importlib.metadata import version

    return {package: version(package) for package in packages}
