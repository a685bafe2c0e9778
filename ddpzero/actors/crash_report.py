"""What an actor wrote before it died: the text of its exception, or its stack after a crash or a hang.

The text is in anonymous memory that rank and actor share. It survives the actor, however that was killed, and unlike a
pipe it does not have to be read in time.
"""

from __future__ import annotations

import faulthandler
import os
import time
from multiprocessing.context import assert_spawning
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import DupFd
from typing import Any

from ddpzero.actors.signals import STACK_SIGNAL
from ddpzero.system.shared_memory import open_shared

_MAX_SIZE_BYTES = 1 << 16


class CrashReport:
    """Made by the rank for one actor process, and pickled only to start that process."""

    def __init__(self) -> None:
        self._fd = open_shared("crash-report")

    def __getstate__(self) -> Any:
        assert_spawning(self)
        return DupFd(self._fd)

    def __setstate__(self, duplicate: Any) -> None:
        self._fd = duplicate.detach()

    def listen(self) -> None:
        """Actor: write the stack of all threads after a crash (SIGSEGV, ...), and whenever the rank asks."""
        faulthandler.enable(self._fd)
        faulthandler.register(STACK_SIGNAL, self._fd)

    def write(self, text: str) -> None:
        """Actor: write why it ends."""
        os.write(self._fd, text.encode(errors="replace")[-_MAX_SIZE_BYTES:])

    def ask_for_stack(self, process: BaseProcess, patience_seconds: float = 0.5) -> None:
        """Rank: have a living actor write where it hangs; wait for the text for at most patience_seconds."""
        assert process.pid is not None
        size_before = os.fstat(self._fd).st_size
        os.kill(process.pid, STACK_SIGNAL)
        deadline = time.monotonic() + patience_seconds
        while time.monotonic() < deadline and process.is_alive():
            time.sleep(0.02)
            if os.fstat(self._fd).st_size > size_before:
                time.sleep(0.05)  # the rest of the text
                return

    def read(self) -> str:
        """Rank: return what was written so far, of a long text the end; "" if nothing was."""
        size = os.fstat(self._fd).st_size
        start = max(0, size - _MAX_SIZE_BYTES)
        return os.pread(self._fd, size - start, start).decode(errors="replace").strip()

    def close(self) -> None:
        os.close(self._fd)
