"""A game's contract is checked in a process of its own: crashes and endless loops are violations like others."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ddpzero.games.core.contract_process import check_apart, require_contract
from ddpzero.games.core.promises import GamePromiseError
from tests.places import OWN_GAMES

TAKE = OWN_GAMES / "take.py"
APPLY = "    position[0] -= action + 1\n"


def mistaken(folder: Path, right: str, wrong: str) -> dict[str, object]:
    """Arguments of load_any_game for Take with a mistake."""
    source = TAKE.read_text()
    assert right in source
    file = folder / "take.py"
    file.write_text(source.replace(right, wrong, 1))
    return {"name": "take", "source": str(file), "pile": 6}


def test_a_game_that_keeps_its_contract_is_reported_with_what_was_checked():
    report = check_apart({"name": "take", "source": str(TAKE), "pile": 6}, num_games=4, seed=0)
    assert report.violations == []
    assert (report.num_games, report.longest_game, report.limit) == (4, 6, "max_plies=6")
    assert report.checked["games end within max_plies"] == 4


def test_a_kernel_that_crashes_is_named(tmp_path):
    far_outside = "    position[1 << 40] = 1\n"
    report = check_apart(mistaken(tmp_path, APPLY, APPLY + far_outside), num_games=2, seed=0)
    assert report.violations == [
        "apply_action ends the process with SIGSEGV: it may have written outside the arrays it is given."
    ]


def test_a_kernel_that_never_returns_is_named(tmp_path):
    endless = "    while position[0] > 0:\n        position[1] = 0\n"
    arguments = mistaken(tmp_path, APPLY, endless)
    report = check_apart(arguments, num_games=2, seed=0, call_seconds=3.0)
    assert report.violations == ["apply_action does not return: it was waited for 3 seconds."]


def test_a_kernel_that_raises_is_named(tmp_path):
    raises = "    if position[0] == 3:\n        raise ValueError('three')\n"
    report = check_apart(mistaken(tmp_path, APPLY, raises + APPLY), num_games=4, seed=0)
    assert report.violations == ["apply_action raises ValueError: three"]


# One file for all ways, chosen in its process: its kernels are compiled once.
ENDS = """
    import os
    if os.environ["WAY_TO_END"] == "raise":
        raise SystemExit(0)
    os._exit(int(os.environ["WAY_TO_END"]))
"""


@pytest.mark.parametrize(
    ("way", "violation"),
    [
        ("raise", "render raises SystemExit: 0"),
        ("0", "code of the game ends the process (exit code 0, as by os._exit)."),
        ("3", "code of the game ends the process (exit code 3, as by os._exit)."),
    ],
)
def test_a_function_that_ends_the_process_is_a_violation(
    way: str, violation: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WAY_TO_END", way)
    start = "last_action: int | None) -> str:"
    arguments = mistaken(tmp_path, f"{start}\n", f"{start}{ENDS}")
    assert check_apart(arguments, num_games=2, seed=0).violations == [violation]


def test_a_first_look_says_one_sentence(tmp_path):
    arguments = mistaken(tmp_path, "max_plies=parameters.pile", "max_plies=parameters.pile - 1")
    require_contract({"name": "take", "source": str(TAKE)})
    with pytest.raises(GamePromiseError) as error:
        require_contract(arguments)
    assert str(error.value) == (
        f"game take ({tmp_path / 'take.py'}) breaks its contract: a game is not over after max_plies=5 plies. "
        "`ddpzero verify contract --game take game.pile=6 game.most=2` checks it."
    )


def test_a_training_of_a_game_that_breaks_its_contract_ends_before_anything_is_made(tmp_path):
    mistaken(tmp_path, "max_plies=parameters.pile", "max_plies=parameters.pile - 1")
    (tmp_path / "conf" / "game").mkdir(parents=True)
    (tmp_path / "conf" / "game" / "my_take.yaml").write_text(
        f"name: take\nsource: {tmp_path / 'take.py'}\npile: 6\n"
    )
    words = ["--config-dir", str(tmp_path / "conf"), "game=my_take", f"runs_dir={tmp_path}/runs"]
    ended = subprocess.run(
        [sys.executable, "-m", "ddpzero.main", *words, "device=cpu", "run_name=x"],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
        env=os.environ | {"COLUMNS": "300"},
    )
    assert ended.returncode == 2
    assert ended.stderr.strip() == (
        f"ddpzero: game take ({tmp_path / 'take.py'}) breaks its contract: a game is not over after max_plies=5 "
        f"plies. `ddpzero verify contract --config-dir {tmp_path / 'conf'} --game take game.pile=6 game.most=2` "
        "checks it."
    )
    assert not (tmp_path / "runs").exists()
