"""Where numba keeps machine code when it cannot keep it where it likes to: beside the sources, or in the user's cache.

Called by compiled.py, before anything is compiled, in every process.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Sequence
from pathlib import Path

from numba.core import config
from numba.misc.appdirs import AppDirs

_PACKAGE_DIR = Path(__file__).resolve().parent.parent
_VARIABLE = "NUMBA_CACHE_DIR"


def ensure_cache_folder() -> None:
    """Set NUMBA_CACHE_DIR, for this process and its children, unless numba finds a folder without it.

    An installation that is read-only, used without a home that can be written, would end in numba's "no locator
    available".
    """
    usual = [_PACKAGE_DIR / "games" / "__pycache__", Path(AppDirs("numba", False).user_cache_dir)]
    if config.CACHE_DIR or any(map(_can_write, usual)):
        return
    config.CACHE_DIR = os.environ[_VARIABLE] = str(_own_folder())


def _own_folder() -> Path:
    """A folder that nobody else can write: numba loads what lies in it as code. The same one in every process."""
    name = f"ddpzero-{os.getuid()}-numba"
    given = os.environ.get("XDG_CACHE_HOME")
    parents: Sequence[Path] = [*([Path(given)] if given else []), Path(tempfile.gettempdir())]
    for folder in (parent / name for parent in parents):
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            status = folder.lstat()
        except OSError:
            continue
        is_ours = stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid()
        if is_ours and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and _can_write(folder):
            return folder
    return Path(tempfile.mkdtemp(prefix=f"{name}-"))


def _can_write(folder: Path) -> bool:
    """As numba tries it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True
