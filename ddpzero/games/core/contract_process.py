"""Checks a game's contract in a separate process, within bounded time: a crash of compiled code cannot end the caller.

Called by `ddpzero verify contract`, and before a training with a game from outside the tree.

    python -m ddpzero.games.core.contract_process < arguments.json > report.json
"""

from __future__ import annotations

import faulthandler
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from ddpzero import PACKAGE_DIR
from ddpzero.games.core.contract_checks import contract_report
from ddpzero.games.core.contract_report import CALL_SECONDS, ContractReport, kernel_behind
from ddpzero.games.core.game import Game
from ddpzero.games.core.loader import load_any_game
from ddpzero.games.core.promises import broken_promise
from ddpzero.games.core.team_contract_checks import team_contract_report
from ddpzero.games.core.team_game import TeamGame
from ddpzero.system.parent import follow_parent

# The check of a game before its training: number of episodes, and seconds within which they begin.
_FIRST_LOOK_GAMES = 12
_FIRST_LOOK_SECONDS = 3.0
# What faulthandler writes about the innermost function, and after a timeout.
_INNERMOST = re.compile(r'^  File ".*", line \d+ in (\w+)$', re.MULTILINE)
_TIMEOUT = "Timeout ("


def require_contract(arguments: Mapping[str, Any]) -> None:
    """Check a game for a few seconds; raise GamePromiseError if it violates its contract.

    arguments: those of load_any_game.
    """
    report = check_apart(arguments, _FIRST_LOOK_GAMES, 0, _FIRST_LOOK_SECONDS)
    if report.violations:
        more = len(report.violations) - 1
        rest = f" {more} more {'violation' if more == 1 else 'violations'} follow." if more else ""
        raise broken_promise(load_any_game(**arguments), report.violations[0] + rest)


def check_apart(
    arguments: Mapping[str, Any],
    num_games: int,
    seed: int,
    max_seconds: float | None = None,
    call_seconds: float = CALL_SECONDS,
) -> ContractReport:
    """Check the contract of the game with these arguments of load_any_game; see contract_report.

    call_seconds: a kernel call that takes longer counts as endless. A crash or an endless loop in a kernel is reported
    as a violation. Raises RuntimeError if the check itself fails.
    """
    game = load_any_game(**arguments)
    task = {
        "path": sys.path,
        "parent_pid": os.getpid(),
        "game": dict(arguments),
        "num_games": num_games,
        "seed": seed,
        "max_seconds": max_seconds,
        "call_seconds": call_seconds,
    }
    finished = subprocess.run(
        # Import this package even if the working directory has modules of the same names.
        [sys.executable, "-P", "-m", __name__],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(PACKAGE_DIR.parent), *_python_path()]),
        },
        input=json.dumps(task),
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        # A signal to the process group, such as Ctrl-C, must not look like a crash of the game.
        start_new_session=True,
    )
    if finished.returncode == 0 and (said := finished.stdout.splitlines()):
        # Code of the game that ends the process with exit code 0 leaves no report.
        with suppress(json.JSONDecodeError, TypeError):
            return ContractReport(**json.loads(said[-1]))
    report = ContractReport(game.name, game.module.__file__ or "", "")
    report.violations.append(_how_it_ended(finished.returncode, finished.stderr, call_seconds))
    return report


def _how_it_ended(exit_code: int, said: str, call_seconds: float) -> str:
    """Return why a process that left no report ended, from its exit code and its standard error."""
    innermost = _INNERMOST.search(said)
    where = kernel_behind(innermost.group(1)) if innermost else "a kernel"
    if exit_code < 0:
        name = signal.Signals(-exit_code).name
        return f"{where} ends the process with {name}: it may have written outside the arrays it is given."
    if _TIMEOUT in said:
        return f"{where} does not return: it was waited for {call_seconds:g} seconds."
    if not said.strip() or exit_code == 0:
        return f"code of the game ends the process (exit code {exit_code}, as by os._exit)."
    last_line = (said.strip().splitlines() or [f"exit code {exit_code}"])[-1]
    raise RuntimeError(f"the contract could not be checked: {last_line}")


def _python_path() -> list[str]:
    return [folder for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep) if folder]


def main() -> None:
    """Check the game that standard input describes; print the report to standard output."""
    faulthandler.enable()
    task = json.load(sys.stdin)
    follow_parent(task["parent_pid"])
    sys.path[:] = task["path"]
    game = load_any_game(**task["game"])
    max_seconds = float("inf") if task["max_seconds"] is None else task["max_seconds"]

    def alive(seconds: float) -> None:
        limit = task["call_seconds"] if seconds == CALL_SECONDS else seconds
        faulthandler.dump_traceback_later(limit, exit=True)

    options = (task["num_games"], task["seed"], max_seconds, alive)
    if isinstance(game, TeamGame):
        report = team_contract_report(game, *options)
    else:
        assert isinstance(game, Game)
        report = contract_report(game, *options)
    faulthandler.cancel_dump_traceback_later()
    print(f"\n{json.dumps(report.to_dict())}")


if __name__ == "__main__":
    main()
