"""A measured program in a process of its own: asked with a line, it answers with a line, or is ended.

See programs/protocol.py for what is said.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from ddpzero.system.guarded_files import parse_json_line
from ddpzero.system.json_text import json_text

_READ_BYTES = 65_536
# No answer is longer.
_MOST_BYTES = 1 << 20


class ProgramFailed(Exception):
    """Why a program gave no answer: a sentence for the user."""


class Conversation:
    """Starts a program; `close` ends it and all that it started. It also ends when this process does."""

    def __init__(self, command: Sequence[str]) -> None:
        # With more threads than the one core they would only wait for each other.
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            [sys.executable, "-m", "ddpzero.system.parent", str(os.getpid()), *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=environment,
            start_new_session=True,
        )
        self._unread = b""

    def ask(self, request: Mapping[str, Any], limit_seconds: float) -> dict[str, Any]:
        """Return the answer to a request. Raises ProgramFailed if there is none within limit_seconds."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json_text(request).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise ProgramFailed(self._reason_of_end()) from None
        line = self._next_line(limit_seconds)
        answer = parse_json_line(line)
        if answer is None:
            text = line.decode(errors="replace").strip()
            raise ProgramFailed(f"it answered {text[:80]!r}, which is no JSON object")
        if "problem" in answer:
            raise ProgramFailed(str(answer["problem"]))
        return answer

    def _next_line(self, limit_seconds: float) -> bytes:
        assert self._process.stdout is not None
        stream, until = self._process.stdout.fileno(), time.monotonic() + limit_seconds
        while b"\n" not in self._unread:
            left = until - time.monotonic()
            if left <= 0 or not select.select([stream], [], [], left)[0]:
                raise ProgramFailed(f"it did not answer within {limit_seconds:g} s")
            read = os.read(stream, _READ_BYTES)
            if not read:
                raise ProgramFailed(self._reason_of_end())
            self._unread += read
            if len(self._unread) > _MOST_BYTES:
                raise ProgramFailed("its answer does not end")
        line, _, self._unread = self._unread.partition(b"\n")
        return line

    def _reason_of_end(self) -> str:
        """Return how the program ended, with the last line of its error output."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(5.0)
        code = self._process.poll()
        self._errors.seek(0)
        lines = [
            line.strip()
            for line in self._errors.read().decode(errors="replace").splitlines()
            if line.strip()
        ]
        how = f"by signal {-code}" if code is not None and code < 0 else f"with exit code {code}"
        return f"it ended {how}: {lines[-1][:300]}" if lines else f"it ended {how}"

    def close(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            with suppress(BrokenPipeError):
                if stream is not None:
                    stream.close()
