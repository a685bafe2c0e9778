"""The live line, the plain lines, messages between them, and each rank's log file."""

from __future__ import annotations

import errno
import io
import logging
import os
import threading
import warnings
from dataclasses import replace
from pathlib import Path

import pytest

from ddpzero.run import progress as progress_module
from ddpzero.run.logs import setup_logging
from ddpzero.run.progress import (
    Progress,
    ProgressMetrics,
    count_text,
    duration_text,
    format_line,
    size_text,
)

METRICS = ProgressMetrics(
    run_name="quick",
    epoch=3,
    learner_step=1532,
    episodes=2310,
    samples=81_234,
    samples_per_second=1240.3,
    updates_per_second=12.3,
    simulations_per_second=9832.0,
    loss=2.312,
    fraction=0.42,
    seconds_left=252.0,
)


class Terminal(io.StringIO):
    encoding = "utf-8"  # type: ignore[assignment]

    def isatty(self) -> bool:
        return True


def on_screen(written: str) -> list[str]:
    """What a terminal shows after carriage returns and erasures."""
    return [line.split("\r\x1b[K")[-1] for line in written.split("\n")]


# ------------------------------------------------------------------------ the line


def test_a_terminal_of_80_shows_what_matters_most() -> None:
    line = format_line(METRICS, 79, 60.0)
    assert line == "quick  ━━━━──────  42%  4:12 left  step 1,532  9.83k simulations/s  loss 2.312"


def test_a_terminal_of_120_shows_more() -> None:
    assert format_line(METRICS, 119, 60.0) == (
        "quick  ━━━━──────  42%  4:12 left  epoch 3  step 1,532  81.2k samples  1.24k samples/s  "
        "9.83k simulations/s  loss 2.312"
    )


@pytest.mark.parametrize("columns", range(1, 200, 7))
def test_the_line_never_wraps(columns: int) -> None:
    assert len(format_line(METRICS, columns, 60.0)) <= columns


def test_what_the_learner_waits_for_is_worth_its_place() -> None:
    waiting = replace(METRICS, note="waiting for samples", loss=None)
    assert "waiting for samples" in format_line(waiting, 79, 60.0)


def test_without_a_limit_the_time_so_far_is_shown() -> None:
    endless = replace(METRICS, fraction=None, seconds_left=None)
    line = format_line(endless, 79, 3723.0)
    assert "1:02:03" in line and "%" not in line and "left" not in line


def test_a_terminal_without_unicode_gets_a_plain_bar() -> None:
    assert "####......" in format_line(METRICS, 79, 60.0, has_unicode=False)


def test_the_live_line_is_written_over_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_module, "_REFRESH_SECONDS", 0.0)
    terminal = Terminal()
    with Progress(True, terminal) as progress:
        progress.show(METRICS)
        progress.show(replace(METRICS, learner_step=1533))
    first, end = on_screen(terminal.getvalue())
    assert "step 1,533" in first
    assert end == ""


def test_the_line_that_stays_is_the_one_of_the_end() -> None:
    terminal = Terminal()
    with Progress(True, terminal) as progress:
        progress.show(METRICS)
        progress.report_last(replace(METRICS, fraction=1.0, note="finished", seconds_left=None))
    line, _ = on_screen(terminal.getvalue())
    assert "100%" in line and "finished" in line and "left" not in line


def test_messages_stand_above_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_module, "_REFRESH_SECONDS", 0.0)
    terminal = Terminal()
    with Progress(True, terminal) as progress:
        progress.show(METRICS)
        progress.message("an actor died")
    first, second, _ = on_screen(terminal.getvalue())
    assert first == "an actor died"
    assert second.startswith("quick")


def test_the_line_is_refreshed_a_few_times_a_second_only() -> None:
    terminal = Terminal()
    with Progress(True, terminal) as progress:
        for _ in range(1000):
            progress.show(METRICS)
    assert terminal.getvalue().count("quick") < 10


def test_without_a_terminal_a_long_silence_between_intervals_ends_with_a_line() -> None:
    stream = io.StringIO()
    with Progress(True, stream, max_silence_seconds=3600) as progress:
        progress.show(METRICS)
    assert stream.getvalue() == ""
    with Progress(True, stream, max_silence_seconds=0.0) as progress:
        progress.show(replace(METRICS, note="compiling"))
    assert "compiling" in stream.getvalue() and stream.getvalue().count("\n") == 1


def test_the_line_shows_the_time_of_training_over_all_resumes() -> None:
    stream = io.StringIO()
    with Progress(True, stream) as progress:
        progress.report(replace(METRICS, seconds=3723.0, seconds_left=None))
    assert "1:02:03" in stream.getvalue()


def test_where_there_is_no_terminal_each_interval_is_a_line_of_its_own() -> None:
    stream = io.StringIO()
    with Progress(True, stream) as progress:
        for _ in range(5):
            progress.show(METRICS)
        progress.report(METRICS)
        progress.message("an actor died")
    line, message, end = stream.getvalue().split("\n")
    assert "step 1,532" in line and "12 updates/s" in line and "━" not in line
    assert (message, end) == ("an actor died", "")


def test_rates_are_means_over_the_last_intervals() -> None:
    stream = io.StringIO()
    with Progress(True, stream) as progress:
        for rate in (0.0, 0.0, 200.0, 0.0, 100.0):
            progress.report(
                replace(
                    METRICS,
                    samples_per_second=rate,
                    updates_per_second=0.0,
                    simulations_per_second=0.0,
                )
            )
    lines = stream.getvalue().splitlines()
    assert "samples/s" not in lines[1]
    assert ["200 samples/s" in lines[2], "100 samples/s" in lines[3]] == [True, True]
    assert "100 samples/s" in lines[4]


def test_other_ranks_show_messages_but_no_line() -> None:
    terminal = Terminal()
    with Progress(False, terminal) as progress:
        progress.show(METRICS)
        progress.report(METRICS)
        progress.message("rank 1 speaks")
    assert on_screen(terminal.getvalue()) == ["rank 1 speaks", ""]


def test_a_terminal_that_is_gone_does_not_stop_the_run() -> None:
    unheard: list[str] = []

    class Gone(Terminal):
        def write(self, text: str) -> int:
            unheard.append(text)
            raise OSError(5, "Input/output error")

    with Progress(True, Gone()) as progress:
        progress.show(METRICS)
        progress.message("nobody hears this")
    assert unheard


# ------------------------------------------------------------------------ the time


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(4, "0:04"), (252, "4:12"), (3723, "1:02:03"), (3 * 86400 + 4 * 3600 + 300, "3 d 04:05")],
)
def test_durations_read_like_a_clock(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0"),
        (0.53, "0.5"),
        (12.3, "12"),
        (950, "950"),
        (999.6, "1.00k"),
        (9832, "9.83k"),
        (81_234, "81.2k"),
        (123_456, "123k"),
        (3_400_000, "3.40M"),
        (2.5e9, "2.50G"),
    ],
)
def test_counts_have_three_digits(count: float, text: str) -> None:
    assert count_text(count) == text


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0 B"),
        (1023, "1.0 KiB"),
        (5000, "4.9 KiB"),
        (1_000_000, "977 KiB"),
        (1_500_000, "1.4 MiB"),
        (12 << 30, "12 GiB"),
    ],
)
def test_sizes_are_told_in_units_that_fit(size_bytes: float, text: str) -> None:
    assert size_text(size_bytes) == text


# ------------------------------------------------------------------------ the logs


def speak(run_dir: Path, rank: int, world_size: int) -> str:
    """Log one message of each kind at a rank; returns what the console got."""
    console = io.StringIO()
    setup_logging(run_dir, rank, world_size, "info", Progress(rank == 0, console))
    logger = logging.getLogger("ddpzero.training.learner")
    logger.debug("a detail")
    logger.info("a checkpoint")
    logger.warning("an actor died")
    logging.getLogger("someone.else").info("chatter")
    return console.getvalue()


@pytest.mark.usefixtures("clean_logging")
def test_rank_0_shows_information_and_warnings(tmp_path: Path) -> None:
    first, second, end = speak(tmp_path, 0, 2).split("\n")
    assert first.endswith(" a checkpoint")
    assert second.endswith(" [rank 0] warning: an actor died")
    assert end == ""


@pytest.mark.usefixtures("clean_logging")
def test_other_ranks_show_only_warnings_with_their_number(tmp_path: Path) -> None:
    (line, end) = speak(tmp_path, 3, 8).split("\n")
    assert line.endswith(" [rank 3] warning: an actor died")
    assert end == ""


@pytest.mark.usefixtures("clean_logging")
def test_each_rank_has_its_file_and_a_resumed_run_appends(tmp_path: Path) -> None:
    speak(tmp_path, 1, 2)
    speak(tmp_path, 1, 2)
    lines = (tmp_path / "logs" / "rank1.log").read_text().splitlines()
    assert len(lines) == 4
    assert "INFO    ddpzero.training.learner: a checkpoint" in lines[0]
    assert "WARNING ddpzero.training.learner: an actor died" in lines[1]


@pytest.mark.usefixtures("clean_logging")
def test_warnings_of_python_go_to_the_log(tmp_path: Path) -> None:
    setup_logging(tmp_path, 0, 1, "info", Progress(False, io.StringIO()))
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        warnings.warn("this will change", FutureWarning, stacklevel=1)
    assert "this will change" in (tmp_path / "logs" / "rank0.log").read_text()


@pytest.mark.usefixtures("clean_logging")
def test_the_console_shows_one_line_of_a_warning_and_the_file_all(tmp_path: Path) -> None:
    console = io.StringIO()
    setup_logging(tmp_path, 0, 1, "info", Progress(False, console))
    logging.getLogger("ddpzero.actors").warning("actor 0 failed: boom\nTraceback\n  of the actor")
    (line, end) = console.getvalue().split("\n")
    assert line.endswith(" warning: actor 0 failed: boom (more in logs/rank0.log)")
    assert end == ""
    assert "boom\nTraceback\n  of the actor\n" in (tmp_path / "logs" / "rank0.log").read_text()


@pytest.mark.usefixtures("clean_logging")
def test_the_traceback_of_a_thread_is_in_the_file_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    console = io.StringIO()
    setup_logging(tmp_path, 0, 1, "info", Progress(False, console))
    thread = threading.Thread(target=lambda: 1 / 0)
    thread.start()
    thread.join()
    assert "ZeroDivisionError" in (tmp_path / "logs" / "rank0.log").read_text()
    assert (console.getvalue(), capsys.readouterr().err) == ("", "")


class Disk:
    """Stands for os.write on a disk that can be filled and emptied."""

    def __init__(self) -> None:
        self.free_bytes = 1 << 20
        self._write = os.write

    def write(self, fd: int, data: bytes) -> int:
        if self.free_bytes == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        part = bytes(data[: self.free_bytes])
        self.free_bytes -= len(part)
        return self._write(fd, part)


@pytest.mark.usefixtures("clean_logging")
def test_a_full_disk_costs_messages_and_is_told_once_and_so_is_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    console, disk = io.StringIO(), Disk()
    setup_logging(tmp_path, 0, 1, "info", Progress(False, console))
    logger = logging.getLogger("ddpzero.training.learner")
    monkeypatch.setattr(os, "write", disk.write)
    logger.info("before")
    disk.free_bytes = 10
    for number in range(100):
        logger.info("lost %d", number)
    disk.free_bytes = 1 << 20
    logger.info("after")
    shown = [line for line in console.getvalue().splitlines() if "rank0.log" in line]
    assert len(shown) == 2
    assert "warning: " in shown[0] and "rank0.log cannot be written (No space left" in shown[0]
    assert shown[1].endswith("rank0.log can be written again; messages missing in it: 100.")
    lines = (tmp_path / "logs" / "rank0.log").read_text().splitlines()
    assert [line.rpartition(": ")[2] for line in (lines[0], lines[2])] == ["before", "after"]
    assert capsys.readouterr().err == "", "logging itself complains"


def test_a_note_that_is_too_long_for_the_terminal_is_cut_before_lesser_parts_are_kept():
    note = "compiling for the actors (once for each game)"
    line = format_line(replace(METRICS, note=note), 60, 3.0)
    assert "compiling for" in line
    assert len(line) <= 60
    assert "updates/s" not in line
