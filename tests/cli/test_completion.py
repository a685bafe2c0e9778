"""What the shell offers after the first letters of a word."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ddpzero.cli import commands as cli
from tests.places import REPO


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the run `quick`."""
    (tmp_path / "runs" / "quick").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("ddpzero pl", ["play"]),
        ("ddpzero verify ", ["algorithm", "contract", "rules", "snakes"]),
        ("ddpzero play q", ["quick"]),
        ("ddpzero match quick ro", ["rollout:1000"]),
        ("ddpzero match quick:", [f"quick:level{number}" for number in range(1, 10)]),
        ("ddpzero gomocup q", ["quick"]),
        ("ddpzero monitor ", ["quick"]),
        ("ddpzero play quick --mode ", ["ai", "human"]),
        ("ddpzero play quick --mo", ["--mode"]),
        ("ddpzero judge connect_four_", ["connect_four_hard"]),
        ("ddpzero verify rules --game he", ["hex"]),
        ("ddpzero verify rules --game=he", ["--game=hex"]),
        ("ddpzero play quick --mode=", ["--mode=ai", "--mode=human"]),
        ("ddpzero contribute max_", ["max_memory_gib=", "max_waiting_mib="]),
        ("ddpzero serve folder serve.min", ["serve.min_plies="]),
        ("ddpzero train +hardware=g", ["+hardware=gpu24gb", "+hardware=gpu8gb"]),
        ("ddpzero train game=go", ["game=go", "game=gomoku"]),
        ("ddpzero train learner.batch", ["learner.batch_size="]),
        ("ddpzero match a b learner.batch", []),
    ],
)
def test_a_word_is_completed_with_what_may_stand_there(here, line, expected, capsys):
    assert cli.main(["completion", "zsh", "--line", line]) == 0
    assert capsys.readouterr().out.split() == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [("ddpzero play q", "quick"), ("ddpzero train game=gom", "gomoku"), ("ddpzero ju", "judge")],
)
def test_bash_completes_with_the_script(here, line, expected):
    script = (
        "source <(ddpzero completion bash); COMP_LINE=$1; COMP_POINT=${#1}; _ddpzero 2>/dev/null; "
        'echo "${COMPREPLY[@]}"'
    )
    assert output_of_shell(here, "bash", script, line).strip() == expected


@pytest.mark.skipif(shutil.which("zsh") is None, reason="no zsh here")
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("ddpzero play q", ["-a", "found:", "quick"]),
        ("ddpzero train learner.batch", ["-S", "", "-a", "begun:", "learner.batch_size="]),
        ("ddpzero match a /tm", ["files"]),
    ],
)
def test_zsh_completes_with_the_script(here, line, expected):
    """What the script hands to zsh's compadd, and files where it knows nothing."""
    script = (
        "compdef() { }; _files() { print files }; "
        'compadd() { print -l -- "${@[1,-2]}" "${@[-1]}:" "${(P)@[-1]}" }; '
        "source <(ddpzero completion zsh); words=(${=1}); CURRENT=$#words; _ddpzero"
    )
    assert output_of_shell(here, "zsh", script, line).splitlines() == expected


def output_of_shell(here: Path, shell: str, script: str, line: str) -> str:
    """What a script prints that is given a line, where `ddpzero` is this program."""
    (here / "ddpzero").write_text(f'#!/bin/sh\nexec {sys.executable} -m ddpzero.cli "$@"\n')
    (here / "ddpzero").chmod(0o755)
    done = subprocess.run(
        [shell, "-c", script, shell, line],
        env=os.environ
        | {
            "PATH": f"{here}:{os.environ['PATH']}",
            "PYTHONPATH": str(REPO),
        },
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.mark.parametrize(
    "words", [["train", "game=hex", "--cfg", "job"], ["game=hex", "train", "--cfg", "job"]]
)
def test_train_is_another_name_of_main(words, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["ddpzero"])
    seen = []
    monkeypatch.setattr("ddpzero.main.main", lambda: seen.append(sys.argv[1:]))
    assert cli.main(words) == 0
    assert seen == [["game=hex", "--cfg", "job"]]
