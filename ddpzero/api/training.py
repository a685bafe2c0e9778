"""Trains from Python, in a process of its own: what a training does to a process is not done to a notebook.

A training takes over signals, logging, threads and cores, and starts actors, which import the main script again.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

from ddpzero import PACKAGE_DIR
from ddpzero.config.hydra import compose_settings
from ddpzero.games import Game
from ddpzero.system.errors import EXIT_CODE_OF_USER_ERROR, UserError, require
from ddpzero.system.failures import RunFailed

_PREFIX = "ddpzero: "


def train(overrides: Sequence[str] = (), *, game: Game | None = None) -> Path:
    """Train an agent with one rank, as `ddpzero train` does, and return the folder of its run.

        run = ddpzero.train(["+experiment=tic_tac_toe", "run_name=demo", "learner.max_minutes=1"])
        agent = ddpzero.load(run)

    overrides: the settings, as on the command line; conf/README.md explains them. Without a limit such as
    learner.max_minutes it trains until it is interrupted. game: one of load_game, also from a file of your own, instead
    of the setting game=...

    The training is a process of its own, whose output is printed here line by line. Interrupting it (Ctrl-C, or Stop in
    a notebook) saves a checkpoint and returns as usual; the same call continues the run. A second interrupt ends it at
    once and raises KeyboardInterrupt. It ends with this process.
    For several GPUs and under SLURM, start torchrun instead: see launch/README.md.
    Raises UserError for settings that cannot be used, RunFailed for a training that failed, each with its sentence.
    """
    words = [*overrides]
    for word in words:
        require(
            isinstance(word, str) and not word.startswith("-"),
            f"train: {word!r:.80} is not a setting: write key=value.",
        )
    with _conf_of(game) as conf:
        if game is not None:
            given = [word for word in words if word.partition("=")[0] in ("game", "game@")]
            require(not given, f"train: {given[:1]} and game=... name two games: remove one.")
            words.append(f"game={_OPTION}")
        settings = compose_settings(words, conf)
        options = [] if conf is None else ["--config-dir", conf]
        exit_code, sentence = _run([sys.executable, "-m", "ddpzero.main", *options, *words])
    if exit_code == EXIT_CODE_OF_USER_ERROR:
        raise UserError(sentence)
    if exit_code != 0:
        raise RunFailed(sentence or f"the training ended with exit code {exit_code}.")
    return Path(settings.runs_dir) / settings.run_name


# The option of the group `game` that describes a game object.
_OPTION = "of_python"


@contextmanager
def _conf_of(game: Game | None) -> Iterator[str | None]:
    """Yield a folder of settings that has the game as an option; None without a game."""
    if game is None:
        yield None
        return
    with TemporaryDirectory(prefix="ddpzero-") as folder:
        file = Path(folder) / "game" / f"{_OPTION}.yaml"
        file.parent.mkdir()
        file.write_text(yaml.safe_dump(game.arguments, sort_keys=False), encoding="utf-8")
        yield folder


def _run(command: Sequence[str]) -> tuple[int, str]:
    """Run a training and print its lines; return its exit code and what it says from its last failure on.

    Raises KeyboardInterrupt after a second interrupt. No process of the training outlives the call.
    """
    # Of its own session, so that an interrupt reaches it only from here.
    guarded = [sys.executable, "-m", "ddpzero.system.parent", str(os.getpid()), *command]
    process = subprocess.Popen(
        guarded,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=_environment(),
        start_new_session=True,
        text=True,
        errors="replace",
    )
    sentence, interrupts = "", 0
    assert process.stdout is not None
    try:
        while True:
            try:
                for line in process.stdout:
                    print(line, end="", flush=True)
                    # The reason of a failure is the last thing that it says.
                    if line.startswith(_PREFIX):
                        sentence = line.removeprefix(_PREFIX)
                    elif sentence:
                        sentence += line
                exit_code = process.wait()
                break
            except KeyboardInterrupt:
                interrupts += 1
                if interrupts > 1:
                    raise
                print("interrupted: the training saves a checkpoint and ends.", flush=True)
                process.send_signal(signal.SIGINT)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
    return exit_code, sentence.strip()


def _environment() -> dict[str, str]:
    """Return an environment in which the same ddpzero is found, also if a notebook has extended sys.path."""
    folder = PACKAGE_DIR.parent
    # Where it is installed; before the standard library, other packages there could hide modules of it.
    if folder.name.endswith("-packages"):
        return dict(os.environ)
    known = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (known, str(folder))))}
