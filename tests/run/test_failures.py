"""What the console shows of a run that fails: one sentence, from one rank; tracebacks are in the log files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ddpzero.actors import ActorError
from ddpzero.config.conversion import settings_to_dict
from ddpzero.config.hydra import compose_settings
from ddpzero.games import Game
from ddpzero.run.checkpoint_files import CheckpointError
from ddpzero.run.failures import FailureReport
from ddpzero.run.folder import claim_run_folder
from ddpzero.run.logs import log_path
from ddpzero.run.ranks import Ranks
from ddpzero.run.record import RunRecord, read_status
from ddpzero.settings import Settings
from ddpzero.system.errors import UserError
from ddpzero.system.failures import RunFailed, failure_sentence, leave
from ddpzero.system.signals import StopSignal
from ddpzero.training import parts
from ddpzero.training.learner import train
from tests.run.checkpointed_runs import resume, without_actors
from tests.torchrun import environment, torchrun_command, write_program


def raised_here(error: BaseException) -> BaseException:
    """The error as it looks after it was raised in a module of ddpzero."""
    try:
        exec("raise error", {"__name__": "ddpzero.any_module", "error": error})
    except BaseException as caught:
        return caught
    raise AssertionError


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (CheckpointError("x was not saved: disk full."), "x was not saved: disk full."),
        (ActorError("actor 0 failed: boom\nTraceback\n  ..."), "actor 0 failed: boom"),
        (raised_here(RuntimeError("too little memory.")), "too little memory."),
        (RuntimeError("shapes differ\nat once"), "RuntimeError: shapes differ"),
        (KeyError("board"), "KeyError: 'board'"),
        (ZeroDivisionError(), "ZeroDivisionError"),
        (OSError(28, "No space left on device", "runs/x/y"), "runs/x/y: No space left on device."),
        (MemoryError("Unable to allocate 7 TiB"), "memory ran out: Unable to allocate 7 TiB."),
    ],
)
def test_every_failure_is_one_line(error: BaseException, sentence: str) -> None:
    assert failure_sentence(error) == sentence


def test_ctrl_c_cannot_tear_a_report_and_works_again_after_it(tmp_path, monkeypatch):
    before, during = signal.getsignal(signal.SIGINT), []
    monkeypatch.setattr(
        "ddpzero.run.failures.print_failure",
        lambda _: during.append(signal.getsignal(signal.SIGINT)),
    )
    with pytest.raises(RunFailed), FailureReport(tmp_path / "x"):
        raise KeyError("board")
    assert during == [signal.SIG_IGN] and signal.getsignal(signal.SIGINT) is before


def test_a_second_interrupt_says_how_to_go_on() -> None:
    assert "The same command continues" in failure_sentence(KeyboardInterrupt())


def test_the_console_has_the_sentence_and_the_log_file_the_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    note = tmp_path / "error.json"
    monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(note))
    with pytest.raises(RunFailed, match="KeyError: 'board'"), FailureReport(tmp_path / "x"):
        raise KeyError("board")
    log = tmp_path / "x" / "logs" / "rank0.log"
    assert capsys.readouterr().err == f"ddpzero: KeyError: 'board' (traceback: {log})\n"
    assert "Traceback (most recent call last)" in log.read_text()
    assert json.loads(note.read_text())["message"]["message"] == f"see {log}"


def test_torchruns_summary_has_the_sentence_of_a_user_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    note = tmp_path / "error.json"
    monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(note))
    with pytest.raises(SystemExit) as caught:
        leave("seed=-1 must be 0 or more.", 2)
    assert caught.value.code == 2
    message = json.loads(note.read_text())["message"]
    assert message["message"] == "seed=-1 must be 0 or more."
    assert message["extraInfo"]["py_callstack"] == message["message"]


def test_a_traceback_that_no_log_file_can_take_is_on_the_console(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x").write_text("a file where the folder should be")
    with pytest.raises(RunFailed), FailureReport(tmp_path / "x"):
        raise KeyError("board")
    *before, last = capsys.readouterr().err.splitlines()
    assert before[0] == "Traceback (most recent call last):"
    assert last.startswith("ddpzero: KeyError: 'board' (traceback above: ")


def test_a_failure_that_explains_itself_has_no_traceback_where_no_log_file_can_take_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x").write_text("a file where the folder should be")
    for error in (ActorError("actor 0 failed"), OSError(28, "No space left on device", "x.pt")):
        with pytest.raises(RunFailed), FailureReport(tmp_path / "x"):
            raise error
    log = log_path(tmp_path / "x", 0)
    assert capsys.readouterr().err.splitlines() == [
        f"ddpzero: actor 0 failed ({log} cannot be written)",
        f"ddpzero: x.pt: No space left on device. ({log} cannot be written)",
    ]


def test_a_pipe_that_nobody_reads_as_log_file_does_not_hold_up_the_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = log_path(tmp_path, 0)
    log.parent.mkdir()
    os.mkfifo(log)
    with pytest.raises(RunFailed), FailureReport(tmp_path):
        raise ActorError("actor 0 failed")
    assert capsys.readouterr().err == f"ddpzero: actor 0 failed ({log} cannot be written)\n"


def test_mistakes_of_the_user_are_left_to_main(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UserError), FailureReport(tmp_path):
        raise UserError("learner.batch_size=0")
    assert capsys.readouterr().err == ""


class NoPool:
    """Stands for a pool that cannot start."""

    def __init__(self, *_: Any, **__: Any) -> None:
        raise RuntimeError("no process can be started")


@pytest.mark.usefixtures("clean_logging")
def test_a_failure_while_the_parts_are_built_is_the_status_of_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = tiny_settings(tmp_path)
    monkeypatch.setattr(parts, "ActorPool", NoPool)
    with pytest.raises(RunFailed):
        train(settings, settings_to_dict(settings), StopSignal())
    status = read_status(tmp_path / "x")
    assert status is not None
    assert (status["state"], status["error"]) == (
        "failed",
        "RuntimeError: no process can be started",
    )
    assert (
        capsys.readouterr()
        .err.splitlines()[-1]
        .startswith("ddpzero: RuntimeError: no process can be started (traceback: ")
    )


def tiny_settings(runs_dir: Path, *overrides: str) -> Settings:
    return compose_settings(
        ["game=tic_tac_toe", "device=cpu", "network.blocks=1", "network.channels=16",
         "learner.precision=float32", "replay.capacity=5000", f"runs_dir={runs_dir}", "run_name=x",
         *overrides]
    )  # fmt: skip


def start(settings: Settings) -> str:
    """Start a training that ends with a sentence; return the sentence."""
    with pytest.raises(UserError) as ended:
        train(settings, settings_to_dict(settings), StopSignal())
    return str(ended.value)


@pytest.fixture
def finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, alone: Ranks) -> Path:
    """The folder of a run with a checkpoint and the status "finished"."""
    without_actors(monkeypatch)
    resume(tmp_path / "x", tiny_settings(tmp_path)).save()
    with RunRecord(tmp_path / "x", alone) as record:
        record.status("finished", learner_step=40, counters={"episodes": 7}, checkpoint="step-40")
    return tmp_path


@pytest.mark.usefixtures("clean_logging")
def test_a_plugin_that_fails_at_a_resume_makes_the_status_failed_and_keeps_the_counters(
    finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def make_algorithm(game: Game, sections: Mapping[str, Any]) -> Any:
        raise KeyError("board")

    settings = tiny_settings(finished)
    monkeypatch.setattr("ddpzero.algorithms.alphazero.make_algorithm", make_algorithm)
    sentence = start(settings)
    assert "KeyError: 'board'" in sentence
    status = read_status(finished / "x")
    assert status is not None
    assert (status["state"], status["error"]) == ("failed", sentence)
    assert (status["learner_step"], status["counters"]) == (40, {"episodes": 7})


@pytest.mark.usefixtures("clean_logging")
def test_a_resume_that_the_machine_cannot_run_makes_the_status_failed(finished: Path) -> None:
    sentence = start(tiny_settings(finished, "replay.capacity=1000000000000"))
    assert sentence.startswith("replay.capacity=1000000000000 needs ")
    status = read_status(finished / "x")
    assert status is not None
    assert (status["state"], status["error"]) == ("failed", sentence)


@pytest.mark.usefixtures("clean_logging")
def test_a_refused_start_leaves_the_status_of_the_run_unchanged(
    finished: Path, alone: Ranks
) -> None:
    before = (finished / "x" / "status.json").read_text()
    assert "a run with a different config" in start(tiny_settings(finished, "network.channels=32"))
    assert (finished / "x" / "status.json").read_text() == before
    with claim_run_folder(finished / "x", alone):
        assert "is in use by process" in start(tiny_settings(finished))
    assert (finished / "x" / "status.json").read_text() == before


@pytest.mark.usefixtures("clean_logging")
def test_a_new_run_that_the_machine_cannot_run_leaves_no_folder(tmp_path: Path) -> None:
    start(tiny_settings(tmp_path, "replay.capacity=1000000000000"))
    assert list(tmp_path.iterdir()) == []


def test_code_that_exits_is_a_failure_with_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(RunFailed, match="SystemExit: 4"), FailureReport(tmp_path):
        raise SystemExit(4)


RANKS = """
import signal, torch
from ddpzero.run import ranks as ranks_module
from ddpzero.run.ranks import join_ranks
from ddpzero.run.failures import FailureReport
from ddpzero.system.failures import RunFailed
ranks_module._ROLL_CALL_SECONDS = 1.0
signal.signal(signal.SIGTERM, signal.SIG_IGN)  # torchrun's answer to the first death
try:
    with FailureReport(folder) as report, join_ranks("cpu", 20.0) as ranks:
        report.ranks = ranks
        module = ranks.wrap(torch.nn.Linear(2, 1))
        ranks.barrier("the start")
        if ranks.rank == VICTIM:
            if CASE == "is killed":
                os.kill(os.getpid(), signal.SIGKILL)
            if CASE == "fails":
                raise KeyError("board")
        if PLACE == "update":
            with ranks.watch("update"):
                module(torch.ones(1, 2)).sum().backward()
        ranks.barrier("epoch 3")
except RunFailed as failure:
    say(sentence=str(failure))
    sys.exit(1)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "victim", "place", "sentence"),
    [
        ("is killed", 1, "update", "update: rank 1 (node {node}) is gone: it failed or was killed."),
        ("is killed", 0, "barrier", "epoch 3: rank 0 (node {node}) is gone: it failed or was killed."),
        ("fails", 1, "barrier", "KeyError: 'board' (traceback: {folder}/logs/rank1.log)"),
    ],
)  # fmt: skip
def test_the_ranks_of_a_failed_run_say_one_sentence(
    tmp_path: Path, case: str, victim: int, place: str, sentence: str
) -> None:
    program = write_program(
        tmp_path, f"CASE, VICTIM, PLACE = {case!r}, {victim}, {place!r}\n{RANKS}"
    )
    done = subprocess.run(
        torchrun_command(program, tmp_path, num_ranks=3),
        env=environment() | {"TORCH_CPP_LOG_LEVEL": "ERROR"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    ours = [line for line in done.stderr.splitlines() if line.startswith("ddpzero: ")]
    node = subprocess.run(["uname", "-n"], capture_output=True, text=True, check=True).stdout
    assert len(ours) == 1
    assert sentence.format(node=node.strip(), folder=tmp_path) in ours[0]
    # Of the tracebacks, one is torchrun's own.
    assert done.stderr.count("Traceback (most recent call last)") == 1
    survivor = json.loads((tmp_path / "answer-rank2.json").read_text())["sentence"]
    assert f"rank {victim}" in survivor
    if case == "fails":
        assert survivor.endswith("failed: KeyError: 'board'")
