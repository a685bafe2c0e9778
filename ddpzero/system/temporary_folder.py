"""A temporary folder that no signal but SIGKILL leaves behind."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ddpzero.system.signals import exit_at_signals


@contextmanager
def temporary_folder(prefix: str) -> Iterator[Path]:
    """Yield a new folder, which is removed after the block, also if SIGTERM or SIGHUP ends the program there.

    Call it in the main thread.
    """
    # Processes that were killed within the block may write their last file while it is removed.
    with (
        exit_at_signals(),
        tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True) as name,
    ):
        yield Path(name)
