"""Facts about the report of all benchmarks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import psutil
import pytest

from ddpzero.bench import report as report_module
from ddpzero.bench.report import Bench, Outcome, all_benches, markdown, run, run_all
from ddpzero.cli import commands as cli
from ddpzero.cli.arguments import parse_arguments
from ddpzero.config.hydra import compose_settings
from tests.places import REPO
from tests.waiting import wait_for

_WITH_FOLDER = """
import sys, tempfile, time
from ddpzero.system.temporary_folder import temporary_folder
tempfile.tempdir = sys.argv[1]
with temporary_folder("x"):
    print("ready", flush=True)
    time.sleep(600)
"""
_KILLED = """
import sys, time
from ddpzero.bench import report
process = report._started(sys.argv[1:])
process.stdout.readline()
print(process.pid, flush=True)
time.sleep(600)
"""
RULES = Bench("rules", ("bench", "rules", "game=tic_tac_toe", "--seconds", "0.1"))
WRONG = Bench("search", ("bench", "search", "game=tic_tac_toe", "search.num_simulations=-1"))


def row(figure: str, value: float, **settings: object) -> dict[str, object]:
    return {"bench": "x", "game": "g", "figure": figure, "value": value, "unit": "", **settings}


def test_its_commands_are_commands_that_compose():
    for quick in (False, True):
        benches = all_benches("connect_four", 1.0, quick, peers=False, seed=3)
        assert [bench.name for bench in benches][:8] == [
            *("rules", "search", "evaluator", "learner", "checkpoint", "pipeline", "memory"),
            "scaling",
        ]
        for bench in benches:
            options = parse_arguments(list(bench.words))
            assert (options.seconds, options.seed) == (1.0, 3)
            given = [w for w in options.overrides if w != "evaluator=network"]
            compose_settings(given)
    assert all_benches("hex", 1.0, False, peers=True, seed=0)[-1].name == "peers"


def test_a_benchmark_without_its_extra_is_left_out(monkeypatch):
    monkeypatch.setitem(report_module._NEEDS, "rules", ("no_such_module",))
    assert "rules" not in [bench.name for bench in all_benches("hex", 1.0, False, False, 0)]


def test_figures_of_a_busy_machine_are_called_too_low(monkeypatch):
    monkeypatch.setattr(
        report_module, "load_of_others", lambda: "other programs use 2.0 of 2 cores"
    )
    monkeypatch.setattr(report_module, "run", lambda bench, limit: Outcome(bench, [row("a", 1.0)]))
    (outcome,) = run_all([RULES], 0.1, None, as_json=True)
    text = markdown([outcome], ())
    assert "| rules | 1 figure; other programs use 2.0 of 2 cores, so figures are too low |" in text


def test_a_report_has_figures_commands_and_what_failed(tmp_path, capsys):
    file = tmp_path / "report.md"
    outcomes = run_all([RULES, WRONG], 0.1, file, as_json=True)
    assert [bool(outcome.problem) for outcome in outcomes] == [False, True]
    text = file.read_text()
    assert "| steps_per_second | 1/s | " in text and RULES.command in text
    assert "| search | search.num_simulations=-1 must be" in text
    assert "| machine | " in text and "torch " in text
    printed = capsys.readouterr()
    lines = [json.loads(line) for line in printed.out.splitlines()]
    assert [line.get("figure") for line in lines][:2] == [
        "steps_per_second",
        "steps_per_cpu_second",
    ]
    assert lines[0]["command"] == RULES.command and "num_simulations" in lines[-1]["error"]
    assert "1/2 rules: done" in printed.err and "2/2 search: search.num_sim" in printed.err


def test_a_report_is_written_after_each_benchmark(tmp_path, monkeypatch):
    file = tmp_path / "report.md"

    def stopped(bench: Bench, limit_seconds: float) -> Outcome:
        if bench is WRONG:
            raise KeyboardInterrupt
        return Outcome(bench, [row("steps", 5)])

    monkeypatch.setattr(report_module, "run", stopped)
    with pytest.raises(KeyboardInterrupt):
        run_all([RULES, WRONG], 0.1, file, as_json=False)
    text = file.read_text()
    assert "| steps |  | 5 |" in text and "| search | not measured yet | |" in text


def test_a_benchmark_that_takes_too_long_is_ended():
    outcome = run(RULES, 0.2)
    assert outcome.problem == "it was ended after 0.2 s." and outcome.rows == []


def test_what_was_varied_becomes_columns():
    rows = [
        row("rate", 1.5, num_ranks=1, seed=0),
        row("late", 7.0, num_ranks=1, seed=0),
        row("rate", 2.5, num_ranks=2, seed=0),
    ]
    text = markdown([Outcome(RULES, rows)], [])
    assert "| figure | unit | num_ranks=1 | num_ranks=2 |" in text
    assert "| rate |  | 1.5 | 2.5 |" in text and "| late |  | 7 |  |" in text


def test_short_times_are_shown_in_small_units():
    rows = [row("vote", 0.000211, num_ranks=1), row("vote", 0.0000123, num_ranks=2)]
    rows += [row("save", 0.25, num_ranks=1), row("save", 0.5, num_ranks=2)]
    rows += [row("all", 0.25, num_ranks=1), row("all", 2.5, num_ranks=2)]
    rows += [row("none", 0.0, num_ranks=1), row("late", -0.0001, num_ranks=2)]
    text = markdown([Outcome(RULES, [{**each, "unit": "s"} for each in rows])], [])
    assert "| vote | us | 211 | 12.3 |" in text and "| save | ms | 250 | 500 |" in text
    assert "| all | s | 0.25 | 2.5 |" in text and "| none | s | 0 |  |" in text
    assert "| late | us |  | -100 |" in text


@pytest.mark.parametrize(("problem", "expected"), [("", 0), ("it failed.", 1)])
def test_the_command_fails_if_a_benchmark_does(problem, expected, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(report_module, "run", lambda bench, _: Outcome(bench, [], problem))
    assert cli.main(["bench", "all", "--report", str(tmp_path / "a.md")]) == expected
    assert "## scaling" in (tmp_path / "a.md").read_text()


def test_a_report_that_cannot_be_written_is_refused_before_anything_runs(capsys):
    assert cli.main(["bench", "all", "--report", "/no/such/folder/a.md"]) == 2
    assert "--report: no file can be written in /no/such/folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "problem"),
    [("--report", "is a folder: name a file in it"), ("--game", "does not exist. The options are")],
)
def test_what_no_benchmark_could_use_is_refused_at_once(
    option, problem, monkeypatch, tmp_path, capsys
):
    monkeypatch.setattr(report_module, "run", lambda bench, _: Outcome(bench))
    assert (
        cli.main(["bench", "all", option, str(tmp_path) if option == "--report" else "nope"]) == 2
    )
    assert problem in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "seconds"), [([], "5"), (["--quick"], "1"), (["--seconds", "0"], "0")]
)
def test_each_benchmark_measures_as_long_as_it_is_told(words, seconds, monkeypatch, capsys):
    run_words = []
    monkeypatch.setattr(
        report_module, "run", lambda bench, _: run_words.append(bench.words) or Outcome(bench)
    )
    assert cli.main(["bench", "all", *words]) == 0
    assert {w[w.index("--seconds") + 1] for w in run_words} == {seconds}


@pytest.fixture
def in_background():
    """SIGINT is ignored, as in all that a script starts in the background."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGINT, before)


def test_a_benchmark_that_is_ended_removes_its_temporary_folder(tmp_path, in_background):
    process = report_module._started([sys.executable, "-c", _WITH_FOLDER, str(tmp_path)])
    assert process.stdout is not None and process.stdout.readline() == b"ready\n"
    assert list(tmp_path.iterdir())
    report_module._end(process)
    assert process.returncode is not None and not list(tmp_path.iterdir())


def test_a_benchmark_ends_with_the_process_that_runs_all_of_them(tmp_path):
    words = [sys.executable, "-c", _KILLED, sys.executable, "-c", _WITH_FOLDER, str(tmp_path)]
    own = {**os.environ, "PYTHONPATH": str(REPO)}
    runner = subprocess.Popen(words, stdout=subprocess.PIPE, env=own)
    assert runner.stdout is not None
    pid = int(runner.stdout.readline())
    runner.kill()
    runner.wait()
    runner.stdout.close()
    wait_for(lambda: not psutil.pid_exists(pid) or _is_zombie(pid))


def _is_zombie(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
