"""Facts about the program `ddpzero gtp`, through its pipes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from tests.places import REPO
from tests.run.old_runs import unpack_old_run


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    """A trained run of Tic-Tac-Toe."""
    return unpack_old_run("tic_tac_toe", tmp_path_factory.mktemp("runs"))


@pytest.fixture
def start(run_dir):
    """Starts the program, and kills it at the end of the test."""
    processes = []

    def begin(*options):
        command = [sys.executable, "-m", "ddpzero.cli", "gtp", str(run_dir), *options]
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=REPO,
            env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
            text=True,
        )
        processes.append(process)
        return process

    yield begin
    for process in processes:
        process.kill()
        process.communicate()


def say(process, line):
    process.stdin.write(f"{line}\n")
    process.stdin.flush()


def answer(process):
    """Read up to the empty line that ends an answer."""
    lines = []
    while (line := process.stdout.readline()) not in ("\n", ""):
        lines.append(line.rstrip("\n"))
    return "\n".join(lines)


def test_a_game_an_analysis_and_the_end(start):
    process = start("--simulations", "30", "--ponder", "--seed", "1")
    say(process, "1 protocol_version")
    assert answer(process) == "=1 2"
    say(process, "genmove b")
    first = answer(process)
    assert first[:2] == "= " and len(first) == 4
    # While it thinks in the opponent's time, it listens.
    say(process, "play w " + ("A1" if first != "= A1" else "A2"))
    assert answer(process) == "="
    say(process, "2 kata-analyze b 1 rootInfo true")
    assert process.stdout.readline() == "=2\n"
    assert process.stdout.readline().startswith("info move ")
    say(process, "")
    assert all(line.startswith("info move ") for line in answer(process).splitlines())
    say(process, "3 bogus")
    assert answer(process) == "?3 unknown command"
    say(process, "quit")
    assert answer(process) == "="
    assert process.wait(60) == 0
    errors = process.stderr.read()
    assert "ready after" in errors and "Traceback" not in errors


def test_the_end_of_its_input_ends_it_after_all_answers(start):
    process = start("--simulations", "30")
    output, errors = process.communicate("name\ngenmove b\nlz-analyze 10\n", timeout=120)
    assert output.startswith("= ddpzero\n\n= ") and output.endswith("\n\n")
    assert output.count("\n\n") == 3
    assert process.returncode == 0 and "Traceback" not in errors


def test_quit_ends_the_process_without_pythons_long_end(run_dir):
    program = (
        "import atexit, os, sys; atexit.register(os.write, 2, b'the long end'); "
        "from ddpzero.cli.commands import main; sys.exit(main(sys.argv[1:]))"
    )
    process = subprocess.run(
        [sys.executable, "-c", program, "gtp", str(run_dir)],
        input="name\nquit\nname\n",
        capture_output=True,
        cwd=REPO,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
        text=True,
        timeout=120,
        check=True,
    )
    assert process.stdout == "= ddpzero\n\n=\n\n"
    assert "ready after" in process.stderr and "the long end" not in process.stderr


def test_sigterm_ends_it_while_it_thinks(start):
    process = start("--simulations", "400")
    say(process, "name")
    answer(process)
    say(process, "lz-analyze")
    assert process.stdout.readline() == "=\n"
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == -signal.SIGTERM


def test_a_reader_that_leaves_ends_it(start):
    process = start()
    say(process, "name")
    answer(process)
    process.stdout.close()
    say(process, "name\nname\nname")
    assert process.wait(60) == 0
    assert "Traceback" not in process.stderr.read()


def test_what_cannot_play_is_refused_in_one_sentence(capfd):
    from ddpzero.cli.commands import main

    assert main(["gtp", "random", "--game", "tic_tac_toe"]) == 2
    assert main(["gtp", "random"]) == 2
    assert main(["gtp", "runs/nowhere"]) == 2
    lines = capfd.readouterr().err.splitlines()
    sentences = [line for line in lines if line.startswith("ddpzero: ")]
    assert len(sentences) == 3
    assert "only chooses moves" in sentences[0] and "runs/nowhere" in sentences[2]
