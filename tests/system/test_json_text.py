"""JSON that leaves the program can be read by every program."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import numpy as np
import pytest

import ddpzero
from ddpzero.bench.gpu_config import Emitter
from ddpzero.run.record import METRICS_FILE, STATUS_FILE, RunRecord
from ddpzero.system.json_text import json_text
from ddpzero.system.measurements import Measurement, print_measurements

PACKAGE = Path(ddpzero.__file__).parent
NAN, INFINITY = float("nan"), float("inf")
# Files that write JSON for our own processes only, where NaN must stay NaN, or that never hold a number with a point.
OWN_MESSAGES = {
    *(
        "actors/process.py",
        "actors/evaluator.py",
        "actors/round.py",
        "run/ranks.py",
        "run/roll_call.py",
        "games/core/contract_process.py",
    ),
    *(
        "arena/worker.py",
        "arena/workers.py",
        "bench/peers/programs/protocol.py",
        "replay/episode.py",
        "run/checkpoint_files.py",
        "system/json_text.py",
    ),
}


def strictly(text: str):
    """The value of JSON that has no literal NaN or Infinity."""

    def refuse(literal: str):
        raise AssertionError(f"{literal} is no JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (NAN, None),
        ({"a": [1.5, NAN, (INFINITY, -INFINITY)]}, {"a": [1.5, None, [None, None]]}),
        ({"a": {"b": NAN}}, {"a": {"b": None}}),
        ({"a": np.float64("nan"), "d": 1}, {"a": None, "d": 1}),
        ("NaN", "NaN"),
    ],
)
def test_what_is_not_finite_is_null(value, expected):
    assert strictly(json_text(value)) == expected


def test_figures_are_json_whatever_they_are(capsys):
    settings = {"low": NAN, "high": INFINITY, "game.size": 3}
    print_measurements([Measurement("match", "hex", "elo", -INFINITY, "", settings)], as_json=True)
    row = strictly(capsys.readouterr().out)
    assert (row["value"], row["low"], row["high"], row["game.size"]) == (None, None, None, 3)


def test_rows_of_the_gpu_check_are_json(capsys):
    Emitter("forward")("rate", NAN, "1/s")
    assert strictly(capsys.readouterr().out)["value"] is None


def test_metrics_and_status_of_a_run_are_json(tmp_path, alone):
    with RunRecord(tmp_path, alone) as record:
        record.row(1, {"losses/total": NAN, "rates/updates": INFINITY, "losses/value": 0.5})
        record.status("running", metrics={"losses/total": NAN}, counters={"minutes": INFINITY})
    row = strictly((tmp_path / METRICS_FILE).read_text())
    assert (row["losses/total"], row["rates/updates"], row["losses/value"]) == (None, None, 0.5)
    status = strictly((tmp_path / STATUS_FILE).read_text())
    assert (status["metrics"], status["counters"]) == ({"losses/total": None}, {"minutes": None})


def test_all_json_for_others_is_written_in_one_place():
    writers = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            is_json = isinstance(node, ast.Attribute) and node.attr in ("dump", "dumps")
            if is_json and isinstance(node.value, ast.Name) and node.value.id == "json":
                writers.add(str(path.relative_to(PACKAGE)))
    assert writers == OWN_MESSAGES
