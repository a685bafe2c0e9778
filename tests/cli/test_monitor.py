"""What `ddpzero monitor` says of runs that live, ended, or died."""

from __future__ import annotations

import io
import json
import os
import pty
import select
import signal
import socket
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from rich.console import Console

from ddpzero.cli.monitor import judge_health, look_at, run_monitor
from ddpzero.cli.monitor_view import make_page, whole
from ddpzero.run.checkpoint import Checkpoints
from ddpzero.run.ranks import join_ranks
from ddpzero.run.record import RunRecord
from ddpzero.system.errors import UserError
from tests.run.checkpointed_runs import snapshot, truncate
from tests.torchrun import environment

NOW = 1_000_000.0


def status(**changes: Any) -> dict[str, Any]:
    """What this very process would have written 5 s ago."""
    return {
        "state": "running",
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "process_started": psutil.Process().create_time(),
        "time": NOW - 5,
        **changes,
    }


def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.mark.parametrize(
    ("changes", "health", "words"),
    [
        ({}, "running", "heard of 0:05 ago"),
        ({"state": "starting"}, "running", "starting: process"),
        ({"time": NOW - 90}, "silent", "last heard of 1:30 ago"),
        ({"pid": dead_pid()}, "died", "is gone, last heard of 0:05 ago"),
        ({"process_started": 1.0}, "died", "is gone"),  # the number belongs to another process now
        ({"host": "elsewhere", "pid": 1}, "running", "on elsewhere, heard of 0:05 ago"),
        ({"host": "elsewhere", "time": NOW - 7200}, "silent", "last heard of 2:00:00 ago"),
        (
            {"state": "finished", "stop_reason": "learner.max_minutes=5 is reached"},
            "finished",
            "finished 0:05 ago: learner.max_minutes=5 is reached",
        ),
        ({"state": "stopped", "stop_reason": "signal SIGTERM"}, "stopped", "signal SIGTERM"),
        ({"state": "failed", "error": "ActorError: boom"}, "failed", "ActorError: boom"),
    ],
)
def test_health_is_told_in_a_sentence(changes: dict[str, Any], health: str, words: str) -> None:
    found, sentence = judge_health(status(**changes), NOW)
    assert found == health
    assert words in sentence


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """A run of this process with two checkpoints, the newer one truncated."""
    run_dir = tmp_path / "runs" / "quick"
    with join_ranks("cpu") as ranks, RunRecord(run_dir, ranks) as record:
        checkpoints = Checkpoints(run_dir, ranks, 3)
        checkpoints.save(snapshot(1))
        checkpoints.save(snapshot(2))
        record.status(
            "running",
            epoch=3,
            learner_step=1500,
            counters={"episodes": 2310, "samples": 81234, "minutes": 3.2},
            metrics={
                "losses/total": 2.312,
                "speed/simulations_per_second": 9832.0,
                "time/update": 0.625,
                "value/accuracy": None,
            },
            seconds_left=100.0,
            actor_restarts=1,
        )
    truncate(run_dir / "checkpoints" / "run-b1c8-s64-d10" / "trainer.pt")
    return run_dir


def page(run_dir: Path, width: int) -> str:
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(whole(make_page(look_at(run_dir), width)))
    return console.export_text()


@pytest.mark.parametrize("width", [40, 80, 120])
def test_the_page_shows_what_matters_in_any_terminal(run_dir: Path, width: int) -> None:
    text = page(run_dir, width)
    squeezed = " ".join(text.split())
    for words in (
        "epoch 3",
        "step 1,500",
        "samples 81,234",
        "actor restarts 1",
        "trained for 3:12",
        "time left 1:40",
        "simulations 9.83k/s",
        "losses total 2.312",
        "update 62.5%",
    ):
        assert words in squeezed, words
    assert max(map(len, text.splitlines())) <= width


def test_checkpoints_are_listed_newest_first_with_what_is_wrong(run_dir: Path) -> None:
    newest, oldest = look_at(run_dir).checkpoints
    assert (newest.learner_step, oldest.learner_step) == (2, 1)
    assert "truncated" in newest.problem and oldest.problem == ""
    assert oldest.size_bytes > 1000


def test_a_folder_without_a_run_suggests_the_nearest_one(run_dir: Path) -> None:
    with pytest.raises(UserError, match=r"quik does not exist\. Did you mean quick\?"):
        look_at(run_dir.parent / "quik")


def test_as_json_one_line_says_it_all(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_monitor(run_dir, as_json=True)
    (line,) = capsys.readouterr().out.splitlines()
    view = json.loads(line)
    assert view["health"] == "running"
    assert view["status"]["learner_step"] == 1500
    assert [entry["learner_step"] for entry in view["checkpoints"]] == [2, 1]


def test_a_run_that_was_killed_is_seen_as_dead(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path\n"
        "from ddpzero.run.ranks import join_ranks\n"
        "from ddpzero.run.record import RunRecord\n"
        "with join_ranks('cpu') as ranks, RunRecord(Path(sys.argv[1]), ranks) as record:\n"
        "    record.status('running', epoch=1)\n"
        "    time.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], env=environment())
    try:
        deadline = time.monotonic() + 30
        while not (tmp_path / "status.json").exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert look_at(tmp_path).health == "running"
    finally:
        process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert look_at(tmp_path).health == "died"  # still a zombie
    process.wait()
    assert look_at(tmp_path).health == "died"


def test_a_start_that_fails_shows_what_the_run_had_before(run_dir: Path) -> None:
    refusal = "config differs: learner.batch_size"
    with join_ranks("cpu") as ranks, pytest.raises(UserError), RunRecord(run_dir, ranks):
        raise UserError(refusal)
    view = look_at(run_dir)
    assert (view.health, view.status["num_starts"]) == ("failed", 2)
    squeezed = " ".join(page(run_dir, 80).split())
    for words in (
        refusal,
        "step 1,500",
        "episodes 2,310",
        "trained for 3:12",
        "losses total 2.312",
    ):
        assert words in squeezed, words


def read_until(terminal: int, *marks: bytes) -> None:
    """Read what is shown on a terminal until all marks were seen; fails after half a minute."""
    output, deadline = b"", time.monotonic() + 30
    while not all(mark in output for mark in marks):
        assert select.select([terminal], [], [], max(0.0, deadline - time.monotonic()))[0], output
        output += os.read(terminal, 4096)


@pytest.mark.parametrize("leave", [b"q", b"\x03", signal.SIGTERM])
def test_whatever_ends_the_monitor_the_terminal_is_as_it_was(
    run_dir: Path, leave: bytes | signal.Signals
) -> None:
    person, terminal = pty.openpty()
    before = termios.tcgetattr(terminal)
    command = [sys.executable, "-m", "ddpzero.cli", "monitor", str(run_dir)]
    process = subprocess.Popen(
        # These tests may run in the background, where a shell has programs ignore Ctrl-C.
        ["setsid", "--ctty", "env", "--default-signal=INT", *command],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        env={**environment(), "TERM": "xterm", "COLUMNS": "80", "LINES": "24"},
    )
    try:
        read_until(person, b"leaves")
        assert not termios.tcgetattr(terminal)[3] & termios.ECHO
        if isinstance(leave, bytes):
            os.write(person, leave)
        else:
            process.send_signal(leave)
        read_until(person, b"\x1b[?1049l", b"\x1b[?25h")
        assert process.wait(20) == (0 if isinstance(leave, bytes) else 128 + leave)
        assert termios.tcgetattr(terminal) == before
    finally:
        process.kill()
        process.wait()
        os.close(person)
        os.close(terminal)


def test_the_monitor_does_not_load_torch() -> None:
    program = "import sys, ddpzero.cli.monitor; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


ANYTHING = (
    None,
    True,
    -1,
    10**9,
    10**30,
    1e300,
    "2",
    "",
    [],
    {},
    [1],
    {"a": [1]},
    "\x1b[31m\ud800",
)


def test_a_status_in_which_anything_stands_is_shown_as_far_as_it_can_be_read(run_dir: Path) -> None:
    path = run_dir / "status.json"
    whole = json.loads(path.read_text())
    for name in (*whole, "counters.episodes", "metrics.losses/total"):
        for value in ANYTHING:
            status = json.loads(json.dumps(whole))
            group, _, key = name.rpartition(".")
            (status[group] if group else status)[key] = value
            path.write_text(json.dumps(status))
            text = page(run_dir, 80)
            assert "\x1b" not in text
            if name != "learner_step":
                assert "1,500" in text


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff", b"[" * 100_000, b'{"pid": 1}'])
def test_a_status_that_cannot_be_read_leaves_the_checkpoints_to_be_seen(
    run_dir: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    (run_dir / "status.json").write_bytes(content)
    view = look_at(run_dir)
    assert view.health == "unknown"
    assert len(view.checkpoints) == 2
    run_monitor(run_dir, as_json=True)
    assert json.loads(capsys.readouterr().out)["health"] == "unknown"


def test_garbage_in_the_metrics_loses_those_lines_alone(tmp_path: Path) -> None:
    rows = [json.dumps({"learner_step": step}).encode() for step in (1, 2, 3)]
    garbage = [b"\xff\xfe", b"[]", b"{", b'{"learner_step": "1"}', b'{"learner_step": 1e999}', b"["]
    lines = [*garbage, rows[0], *garbage, rows[1], b"[" * 50_000, rows[2], b'{"learner_st']
    (tmp_path / "metrics.jsonl").write_bytes(b"\n".join(lines))
    (tmp_path / "status.json").write_bytes(b"[" * 3000)
    with join_ranks("cpu") as ranks, RunRecord(tmp_path, ranks) as record:
        record.go_on_from(2)
        record.row(3, {"losses/total": 1.0})
    lines = (tmp_path / "metrics.jsonl").read_bytes().splitlines()
    steps = [json.loads(line)["learner_step"] for line in lines]
    assert steps == [1, 2, 3]
    assert look_at(tmp_path).health == "running"
