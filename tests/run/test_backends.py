"""Optional places for a run's rows: metrics.csv, and Weights & Biases through a module that stands in for wandb.

wandb itself is not a dependency of the tests: the stand-in records what is called.
"""

from __future__ import annotations

import csv
import errno
import importlib.util
import json
import math
import resource
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from ddpzero.run import csv_file
from ddpzero.run import record as record_module
from ddpzero.run.backends import check_backends, make_backends
from ddpzero.run.ranks import Ranks, join_ranks
from ddpzero.run.record import RunRecord
from ddpzero.system.errors import UserError

CONFIG = {"run_name": "x", "learner": {"batch_size": 64}}


@pytest.fixture
def alone() -> Iterator[Ranks]:
    with join_ranks("cpu") as ranks:
        yield ranks


def record(
    run_dir: Path, ranks: Ranks, first_step: int = 0, csv: bool = False, wandb: bool = False
) -> RunRecord:
    backends = make_backends(run_dir, csv=csv, wandb=wandb)
    return RunRecord(run_dir, ranks, first_step, backends=backends)


# -------------------------------------------------------------------------- metrics.csv


def table(run_dir: Path) -> list[dict[str, str]]:
    with open(run_dir / "metrics.csv", newline="") as file:
        return list(csv.DictReader(file))


def assert_same_rows(run_dir: Path) -> None:
    """metrics.csv has the rows of metrics.jsonl, each once, with equal values."""
    rows = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    cells = [
        {name: float(cell) for name, cell in row.items() if cell != ""} for row in table(run_dir)
    ]
    assert cells == [{k: v for k, v in row.items() if v is not None} for row in rows]


def test_without_the_setting_there_is_no_table(tmp_path: Path, alone: Ranks) -> None:
    with record(tmp_path, alone) as run:
        run.config(CONFIG)
        run.row(1, {"losses/total": 1.0})
    assert not (tmp_path / "metrics.csv").exists()


def test_the_table_has_each_row_with_all_digits(tmp_path: Path, alone: Ranks) -> None:
    with record(tmp_path, alone, csv=True) as run:
        run.config(CONFIG)
        run.row(1, {"losses/total": 1 / 3, "time/wait, save": 1e-300})
        run.row(2, {"losses/total": math.nan, "time/wait, save": math.inf})
    assert_same_rows(tmp_path)
    assert [row["losses/total"] for row in table(tmp_path)] == [repr(1 / 3), ""]


def test_a_column_that_comes_later_is_added_on_the_right(tmp_path: Path, alone: Ranks) -> None:
    with record(tmp_path, alone, csv=True) as run:
        run.config(CONFIG)
        run.row(1, {"b/b": 1.0})
        run.row(2, {"a/a": 2.0})
        run.row(3, {"b/b": 3.0, "a/a": 3.5})
    assert list(table(tmp_path)[0]) == ["learner_step", "time", "b/b", "a/a"]
    assert [row["a/a"] for row in table(tmp_path)] == ["", "2.0", "3.5"]
    assert_same_rows(tmp_path)


@pytest.mark.parametrize("lost", ["nothing", "a row", "half a row", "the table"])
def test_a_run_resumed_after_a_kill_has_no_row_twice_and_none_lost(
    tmp_path: Path, alone: Ranks, lost: str
) -> None:
    with record(tmp_path, alone, csv=True) as run:
        run.config(CONFIG)
        for step in (10, 20, 30):
            run.row(step, {"losses/total": float(step)})
    path = tmp_path / "metrics.csv"
    lines = path.read_text().splitlines(keepends=True)
    # What a kill between the two files, or in the middle of one, leaves.
    left = {"nothing": lines, "a row": lines[:-1], "half a row": [*lines[:-1], lines[-1][:7]]}
    path.write_text("".join(left.get(lost, [])))
    if lost == "the table":
        path.unlink()
    with record(tmp_path, alone, 20, csv=True) as run:
        run.config(CONFIG)
        assert [row["learner_step"] for row in table(tmp_path)] == ["10", "20"]
        for step in (20, 25, 35):
            run.row(step, {"losses/total": step + 0.5})
    assert [row["learner_step"] for row in table(tmp_path)] == ["10", "20", "25", "35"]
    assert_same_rows(tmp_path)


def test_a_table_that_is_asked_for_later_begins_with_the_rows_before(
    tmp_path: Path, alone: Ranks
) -> None:
    with record(tmp_path, alone) as run:
        run.config(CONFIG)
        run.row(1, {"losses/total": 1.0})
    with record(tmp_path, alone, 1, csv=True) as run:
        run.config(CONFIG)
        run.row(2, {"losses/total": 2.0})
    assert [row["learner_step"] for row in table(tmp_path)] == ["1", "2"]


def test_after_a_full_disk_the_table_is_whole_again(tmp_path: Path, alone: Ranks) -> None:
    with record(tmp_path, alone, csv=True) as run:
        run.config(CONFIG)
        run.row(1, {"losses/total": 1.0})
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
        try:
            run.row(2, {"losses/total": 2.0})
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        run.row(3, {"losses/total": 3.0})
    assert_same_rows(tmp_path)


def test_a_row_that_metrics_jsonl_lacks_is_not_in_the_table_either(
    tmp_path: Path, alone: Ranks, monkeypatch: pytest.MonkeyPatch
) -> None:
    with record(tmp_path, alone, csv=True) as run:
        run.config(CONFIG)
        run.row(1, {"losses/total": 1.0})
        with monkeypatch.context() as patch:
            patch.setattr(record_module, "append_whole", no_space)
            run.row(2, {"losses/total": 2.0})
        assert_same_rows(tmp_path)
        run.row(3, {"losses/total": 3.0})
    assert_same_rows(tmp_path)
    assert [row["learner_step"] for row in table(tmp_path)] == ["1", "3"]


def test_a_row_that_the_table_could_not_take_is_added_with_the_next_one(
    tmp_path: Path,
    alone: Ranks,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with record(tmp_path, alone, csv=True) as run:
        run.config(CONFIG)
        run.row(1, {"losses/total": 1.0})
        with monkeypatch.context() as patch:
            patch.setattr(csv_file, "append_whole", no_space)
            run.row(2, {"losses/total": 2.0})
        assert [row["learner_step"] for row in table(tmp_path)] == ["1"]
        run.row(3, {"losses/total": 3.0})
        assert [row["learner_step"] for row in table(tmp_path)] == ["1", "2", "3"]
    assert_same_rows(tmp_path)
    (warning,) = caplog.messages
    assert "metrics.csv cannot be written: No space left on device." in warning


def no_space(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_table_that_somebody_deletes_comes_back_whole(tmp_path: Path, alone: Ranks) -> None:
    with record(tmp_path, alone, csv=True) as run:
        run.config(CONFIG)
        run.row(1, {"losses/total": 1.0})
        (tmp_path / "metrics.csv").unlink()
        run.row(2, {"losses/total": 2.0})
    assert_same_rows(tmp_path)


# -------------------------------------------------------------------- Weights & Biases


class StandIn(ModuleType):
    """As much of wandb as is called here.

    server: run id -> the steps that were logged. failures: the functions that raise. It asserts nothing: RunRecord
    would suppress the error.
    """

    def __init__(self) -> None:
        super().__init__("wandb")
        self.server: dict[str, list[int]] = {}
        self.losses: list[tuple[int, float]] = []
        self.inits: list[dict[str, Any]] = []
        self.exit_codes: list[int] = []
        self.failures: set[str] = set()
        self.stdin_was_terminal: bool | None = None
        self.Settings = SimpleNamespace

    def init(self, **arguments: Any) -> StandInRun:
        self.stdin_was_terminal = sys.stdin.isatty()
        if "init" in self.failures:
            raise ConnectionError("no route to host")
        self.inits.append(arguments)
        return StandInRun(self, self.server.setdefault(arguments["id"], []))


class StandInRun:
    url = "https://wandb.example/x"
    offline = False

    def __init__(self, wandb: StandIn, steps: list[int]) -> None:
        self._wandb, self._steps = wandb, steps
        self.step = steps[-1] + 1 if steps else 0

    def log(self, row: Mapping[str, float], step: int) -> None:
        if "log" in self._wandb.failures:
            raise BrokenPipeError("its process is gone")
        self._wandb.losses.append((int(row["learner_step"]), row["losses/total"]))
        self._steps.append(step)
        self.step = step

    def finish(self, exit_code: int) -> None:
        self._wandb.exit_codes.append(exit_code)


@pytest.fixture
def wandb(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    module = StandIn()
    monkeypatch.setitem(sys.modules, "wandb", module)
    monkeypatch.delenv("WANDB_PROJECT", raising=False)
    return module


def test_rows_and_config_go_to_a_run_of_that_name(
    tmp_path: Path, alone: Ranks, wandb: StandIn
) -> None:
    run_dir = tmp_path / "quick"
    with record(run_dir, alone, wandb=True) as run:
        run.config(CONFIG)
        run.row(10, {"losses/total": 1.0})
        run.row(20, {"losses/total": 0.5})
    (init,) = wandb.inits
    assert (init["project"], init["name"], init["config"]) == ("ddpzero", "quick", CONFIG)
    assert init["settings"].console == "off"
    assert list(wandb.server.values()) == [[10, 20]]
    assert wandb.losses == [(10, 1.0), (20, 0.5)]
    assert wandb.exit_codes == [0]


def test_a_resumed_run_continues_its_run_and_has_no_step_twice(
    tmp_path: Path, alone: Ranks, wandb: StandIn
) -> None:
    with record(tmp_path, alone, wandb=True) as run:
        run.config(CONFIG)
        for step in (10, 20, 30):
            run.row(step, {"losses/total": 1.0})
    with record(tmp_path, alone, 10, wandb=True) as run:
        run.config(CONFIG)
        for step in (15, 25, 35):
            run.row(step, {"losses/total": 2.0})
    first, second = wandb.inits
    assert first["id"] == second["id"] and second["resume"] == "allow"
    assert wandb.server == {first["id"]: [10, 20, 30, 35]}


@pytest.mark.parametrize("content", [b"", b"\xff\x00", b"../..\n", b"a b"])
def test_an_id_that_is_none_is_replaced(
    tmp_path: Path, alone: Ranks, wandb: StandIn, content: bytes
) -> None:
    (tmp_path / "wandb_id.txt").write_bytes(content)
    with record(tmp_path, alone, wandb=True) as run:
        run.config(CONFIG)
    (init,) = wandb.inits
    assert init["id"].isalnum()
    assert (tmp_path / "wandb_id.txt").read_text() == f"{init['id']}\n"


def test_a_failed_run_says_so(tmp_path: Path, alone: Ranks, wandb: StandIn) -> None:
    with pytest.raises(OSError), record(tmp_path, alone, wandb=True) as run:
        run.config(CONFIG)
        raise OSError
    assert wandb.exit_codes == [1]


@pytest.mark.parametrize("failure", ["init", "log"])
def test_its_failure_costs_its_rows_and_nothing_else(
    tmp_path: Path, alone: Ranks, wandb: StandIn, failure: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    wandb.failures.add(failure)
    with record(tmp_path, alone, wandb=True, csv=True) as run:
        run.config(CONFIG)
        for step in (1, 2, 3):
            run.row(step, {"losses/total": 1.0})
    assert_same_rows(tmp_path)
    (warning,) = [entry for entry in caplog.messages if "cannot be written" in entry]
    assert warning.startswith("Weights & Biases cannot be written: ")
    assert [bool(steps) for steps in wandb.server.values()] in ([], [False])


def test_it_cannot_ask_a_person_for_a_key(
    tmp_path: Path, alone: Ranks, wandb: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = SimpleNamespace(isatty=lambda: True)
    monkeypatch.setattr(sys, "stdin", terminal)
    with record(tmp_path, alone, wandb=True) as run:
        run.config(CONFIG)
    assert wandb.stdin_was_terminal is False
    assert sys.stdin is terminal


def test_without_the_package_one_sentence_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    check_backends(wandb=False)
    with pytest.raises(
        UserError, match=r"^logging\.wandb=true needs .* pip install 'ddpzero\[wandb\]'"
    ):
        check_backends(wandb=True)
