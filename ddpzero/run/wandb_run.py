"""Weights & Biases: a run's rows in the project of wandb's own settings (WANDB_PROJECT, WANDB_MODE=offline, ...).

A backend of backends.py. wandb writes in a process of its own and buffers while its server is out of reach.
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
# The learner waits so long for wandb's server when the run starts, and when it ends.
_TIMEOUT_SECONDS = 30.0


class WandbRun:
    """One run at Weights & Biases; a resumed run continues it, by the id that its folder keeps."""

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
                # The console is ours: wandb would take it over to copy it.
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
        # Not tried again for each row: the learner would wait for the server every time.
        if self._run is None:
            raise RuntimeError("it was out of reach when the run started")
        step = int(row["learner_step"])
        # A run that has gone back to an older checkpoint does steps again; wandb's steps only rise.
        if step >= self._run.step:
            self._run.log(dict(row), step=step)

    def end(self, has_failed: bool) -> None:
        if self._run is not None:
            self._run.finish(exit_code=int(has_failed))


def _kept_id(run_dir: Path) -> str:
    """Return the id of the run at Weights & Biases; a new one if its folder has none."""
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
    """Hide a terminal from wandb, which without a key would wait there for an answer; it raises an error instead."""
    stdin = sys.stdin
    with open(os.devnull, encoding="utf-8") as nobody:
        sys.stdin = nobody
        try:
            yield
        finally:
            sys.stdin = stdin
