"""Output that no terminal and no reader can make an error of."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from rich.table import Table

from ddpzero.system.terminal import plain_console
from tests.places import REPO

PLAY = ["play", "random", "--game", "tic_tac_toe", "--color", "first", "--seed", "1"]


def run_cli(
    *arguments: str, text: str = "", **variables: str
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "ddpzero.cli", *arguments],
        input=text.encode("latin-1"),
        env=os.environ | variables,
        capture_output=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    "variables",
    [
        {"PYTHONIOENCODING": "latin-1"},
        {"PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ],
    ids=["latin-1", "ascii", "C locale"],
)
def test_a_terminal_without_unicode_gets_ascii_drawings(variables):
    done = run_cli(*PLAY, text="b2\n\xff\xe9\nquit\n", **variables)
    assert done.returncode == 0, done.stderr.decode()
    printed = done.stdout.decode("latin-1")
    assert "random plays" in printed and "X ." in printed
    assert printed.partition("your move")[0].isascii()
    assert done.stderr == b""


def test_results_are_told_in_ascii_too():
    arguments = ["match", "random", "random", "--game", "tic_tac_toe", "--games", "4"]
    done = run_cli(*arguments, PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr.decode()
    assert "codec" not in done.stderr.decode()
    done.stdout.decode("ascii")


@pytest.mark.parametrize(
    "command",
    [
        "ddpzero.main --help",
        "ddpzero.main --cfg job",
        "ddpzero.main --hydra-help",
        "ddpzero.cli --help",
        "ddpzero.cli match --help",
        "ddpzero.cli match random random --game tic_tac_toe --games 2 --json",
    ],
)
@pytest.mark.parametrize("reader", ["head -1", "true"])
def test_a_reader_that_has_seen_enough_is_no_error(command, reader, tmp_path):
    script = f"{sys.executable} -m {command} | {reader}; echo status ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert done.stdout.splitlines()[-1] == "status 0"


@pytest.mark.parametrize(
    ("command", "status"),
    [
        ("ddpzero.cli --help >&-", 0),
        ("ddpzero.main --help >&-", 0),
        ("ddpzero.cli play random --game tic_tac_toe <&-", 0),
        ("ddpzero.cli monitor nope --once <&- >&- 2>&-", 2),
        (
            "ddpzero.cli match random random --game tic_tac_toe --games 2 --json >/dev/full",
            1,
        ),
        ("ddpzero.main --cfg job >/dev/full", 2),
    ],
)
def test_closed_streams_and_full_disks_behind_them_are_no_tracebacks(command, status, tmp_path):
    script = f"{sys.executable} -m {command}"
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == status
    assert "Traceback" not in done.stderr
    if status == 1:
        assert done.stderr == "ddpzero: the output cannot be written: No space left on device.\n"
    if "--cfg" in command:
        assert done.stderr.startswith("ddpzero: the output or a file of Hydra: No space left on ")


def test_help_that_is_cut_off_is_no_error_of_hydra(tmp_path):
    script = f"{sys.executable} -m ddpzero.main --help | head -2; echo status ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.stderr, done.stdout.splitlines()[-1]) == ("", "status 0")


# ------------------------------------------------------------------------- where compiled code is kept


def cache_folder_of(code: str, **variables: str) -> str:
    program = (
        "import ddpzero.games.core.cache_folder as folder\n"
        f"{code}\n"
        "folder.ensure_cache_folder()\n"
        "import os; print(os.environ.get('NUMBA_CACHE_DIR', ''), end='')"
    )
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment | variables,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


READ_ONLY = "folder.PACKAGE_DIR = __import__('pathlib').Path('/proc/ddpzero')"


def test_a_writable_installation_keeps_compiled_code_where_numba_likes_it():
    assert cache_folder_of("") == ""


def test_a_read_only_installation_uses_the_home_of_its_user(tmp_path):
    assert cache_folder_of(READ_ONLY, HOME=str(tmp_path), XDG_CACHE_HOME=str(tmp_path)) == ""


def test_without_a_home_compiled_code_is_kept_in_a_folder_that_nobody_else_can_write(tmp_path):
    variables = {"HOME": "/proc/nobody", "XDG_CACHE_HOME": "/proc/nobody", "TMPDIR": str(tmp_path)}
    first, second = (cache_folder_of(READ_ONLY, **variables) for _ in range(2))
    assert first == second == str(tmp_path / f"ddpzero-{os.getuid()}-numba")
    assert Path(first).stat().st_mode & 0o077 == 0


def test_a_named_folder_that_cannot_be_written_is_replaced_where_numba_has_no_other(tmp_path):
    variables = {"HOME": "/proc/nobody", "XDG_CACHE_HOME": "/proc/nobody", "TMPDIR": str(tmp_path)}
    used = cache_folder_of(READ_ONLY, NUMBA_CACHE_DIR="/proc/cache", **variables)
    assert used == str(tmp_path / f"ddpzero-{os.getuid()}-numba")


def test_a_folder_that_others_can_write_is_not_used(tmp_path):
    (tmp_path / f"ddpzero-{os.getuid()}-numba").mkdir()
    (tmp_path / f"ddpzero-{os.getuid()}-numba").chmod(0o777)
    variables = {"HOME": "/proc/nobody", "XDG_CACHE_HOME": "/proc/nobody", "TMPDIR": str(tmp_path)}
    used = Path(cache_folder_of(READ_ONLY, **variables))
    assert used.parent == tmp_path
    assert used.stat().st_mode & 0o022 == 0


def test_a_folder_that_the_user_names_is_left_alone(tmp_path):
    assert cache_folder_of(READ_ONLY, NUMBA_CACHE_DIR=str(tmp_path)) == str(tmp_path)


@pytest.mark.parametrize(
    "arguments",
    [
        ["ddpzero.main", "learner.max_epochs=1"],
        ["ddpzero.cli", "train", "learner.max_epochs=1"],
        [
            "ddpzero.cli",
            "match",
            "random",
            "random",
            "--game",
            "tic_tac_toe",
            "--games",
            "2",
        ],
    ],
    ids=["main", "train", "match"],
)
def test_a_shell_whose_folder_was_removed_gets_one_sentence(arguments, tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    command = f'cd "{gone}" && rmdir "{gone}" && exec "$0" -m "$@"'
    done = subprocess.run(
        ["sh", "-c", command, sys.executable, *arguments],
        capture_output=True,
        timeout=120,
        check=False,
    )
    lines = (done.stdout + done.stderr).decode().splitlines()
    assert done.returncode == 2
    assert lines == ["ddpzero: the current folder has been removed: change to an existing one."]


MARKED = "[/x] [bold red] :dog:"


def test_names_are_printed_as_they_are(capsys):
    table = Table(MARKED, title=MARKED, caption=MARKED)
    table.add_row(MARKED)
    plain_console().print(MARKED, table, sep="\n")
    assert capsys.readouterr().out.count(MARKED) == 5


def test_all_output_with_names_goes_to_a_plain_console():
    """The picture's console records; the monitor's page has one that only measures text."""
    package = REPO / "ddpzero"
    files = {
        str(file.relative_to(package))
        for file in package.rglob("*.py")
        if re.search(r"\bConsole\(", file.read_text())
    }
    assert files == {"system/terminal.py", "cli/picture.py", "cli/monitor_view.py"}
