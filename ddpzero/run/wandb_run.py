"""Weights & Biases: sends a run's rows to the project in wandb's settings (WANDB_PROJECT, WANDB_MODE=offline, ...).

A backend of backends.py. wandb writes in a separate process and buffers while its server is unreachable.
"""

from __future__ import annotations

import logging
import os
import re
import secrets
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ddpzero.system.guarded_files import UnreadableFileError, read_bytes
from ddpzero.system.whole_files import replace_whole

logger = logging.getLogger(__name__)

ID_FILE = "wandb_id.txt"
_PROJECT = "ddpzero"
# The longest time that the learner waits for wandb's server at the start and at the end of a run.
_TIMEOUT_SECONDS = 30.0


class WandbRun:
    """One run at Weights & Biases; a resumed run continues it, by the id in its folder."""

    name = "Weights & Biases"

    def __init__(self, run_dir: Path) -> None:
        self._run_dir = run_dir
        self._run: Any = None

    def start(self, config: Mapping[str, Any]) -> None:
        import wandb

        with _nobody_to_ask():
            self._run = wandb.init(
                project=os.environ.get("WANDB_PROJECT", _PROJECT),
                name=self._run_dir.name,
                id=_kept_id(self._run_dir),
                resume="allow",
                dir=str(self._run_dir),
                config=dict(config),
                # wandb must not redirect the console.
                settings=wandb.Settings(
                    console="off",
                    silent=True,
                    init_timeout=_TIMEOUT_SECONDS,
                    finish_timeout=_TIMEOUT_SECONDS,
                ),
            )
        where = f"offline, in {self._run.dir}" if self._run.offline else self._run.url
        logger.info("%s: %s", self.name, where)

    def row(self, row: Mapping[str, float]) -> None:
        # Do not try again for each row: the learner would wait for the server every time.
        if self._run is None:
            raise RuntimeError("it was out of reach when the run started")
        step = int(row["learner_step"])
        # A run that resumes from an older checkpoint repeats steps, but wandb's steps must not decrease.
        if step >= self._run.step:
            self._run.log(dict(row), step=step)

    def end(self, has_failed: bool) -> None:
        if self._run is not None:
            self._run.finish(exit_code=int(has_failed))


def _kept_id(run_dir: Path) -> str:
    """Return the run's id at Weights & Biases from its folder, or create one."""
    path = run_dir / ID_FILE
    try:
        kept = read_bytes(path).decode(errors="replace").strip()
    except UnreadableFileError:
        kept = ""
    if re.fullmatch(r"[0-9a-zA-Z_-]{1,64}", kept):
        return kept
    new = secrets.token_hex(4)
    replace_whole(path, f"{new}\n".encode())
    return new


@contextmanager
def _nobody_to_ask() -> Iterator[None]:
    """Hide the terminal from wandb, so that without an API key it raises an error instead of asking for one."""
    stdin = sys.stdin
    with open(os.devnull, encoding="utf-8") as nobody:
        sys.stdin = nobody
        try:
            yield
        finally:
            sys.stdin = stdin
