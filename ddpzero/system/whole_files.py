"""Writes files so that a crash or a full disk leaves them whole: the old content or the new one, never a part."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO


def replace_whole(path: Path, write: bytes | Callable[[BinaryIO], None]) -> None:
    """Replace a file by a new one. Raises OSError, and leaves the file as it was.

    write: the content, or what writes it.
    """
    aside = path.with_name(f".{path.name}.aside")
    try:
        remove(aside)
        with open(aside, "wb") as file:
            if isinstance(write, bytes):
                file.write(write)
            else:
                write(file)
        aside.replace(path)
    except OSError:
        with suppress(OSError):
            aside.unlink()
        raise


def remove(path: Path) -> None:
    """Remove a folder or whatever else has its name; nothing may be there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def append_whole(path: Path, data: bytes) -> None:
    """Append to a file without a buffer. Raises OSError if not all of it fits, and leaves the file as it was."""
    # Without waiting: a pipe that nobody reads is an OSError then.
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
    with open(os.open(path, flags, 0o666), "ab", buffering=0) as file:
        size_bytes = file.seek(0, os.SEEK_END)
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[file.write(rest) :]
        except OSError:
            with suppress(OSError):
                file.truncate(size_bytes)
            raise
