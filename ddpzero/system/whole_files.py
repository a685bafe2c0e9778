"""Writes files atomically: after a crash or on a full disk, a file has its old or its new content, never a part.

Also checks, before a long computation, whether its result can be written at all.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from ddpzero.system.errors import UserError


def replace_whole(path: Path, write: bytes | Callable[[BinaryIO], None]) -> None:
    """Replace a file with a new one. Raises OSError, and then leaves the old file unchanged.

    write: the content, or a function that writes it.
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


def require_writable(option: str, folder: Path, *, make: bool = False) -> None:
    """Raise UserError if no file can be written in a folder. make: make the folder first, if it does not exist.

    option: that names the folder, as the user wrote it.
    """
    try:
        if make:
            folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        is_file = isinstance(error, (FileExistsError, NotADirectoryError))
        reason = "it is not a folder" if is_file else error.strerror
        raise UserError(
            f"{option}: no file can be written in {folder} ({reason}): name another folder."
        ) from None


def remove(path: Path) -> None:
    """Remove a folder or a file; do nothing if the path does not exist."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def append_whole(path: Path, data: bytes) -> None:
    """Append to a file, unbuffered. Raises OSError if not all of the data fits, and then leaves the file unchanged."""
    # Non-blocking: opening a pipe that nobody reads is then an OSError.
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


def drop_incomplete_line(path: Path) -> None:
    """Truncate a file after its last complete line, so that the next line does not continue a part of one."""
    try:
        with open(path, "rb+") as file:
            content = file.read()
            end = content.rfind(b"\n") + 1
            if end < len(content):
                file.truncate(end)
                os.fsync(file.fileno())
    except FileNotFoundError:
        return
