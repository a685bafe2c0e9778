"""Where numba keeps machine code when it cannot keep it where it likes to: beside the sources, or in the user's cache.
And how to delete it.

Called by compiled.py, before anything is compiled, in every process, and by `ddpzero cache clear`.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from numba.core import config
from numba.core.caching import IndexDataCacheFile, _CacheLocator
from numba.misc.appdirs import AppDirs

from ddpzero import PACKAGE_DIR

_VARIABLE = "NUMBA_CACHE_DIR"


def ensure_cache_folder() -> None:
    """Set NUMBA_CACHE_DIR, for this process and its children, unless numba finds a folder without it.

    An installation that is read-only, used without a home that can be written, would end in numba's "no locator
    available".
    """
    usual = [
        PACKAGE_DIR / "games" / "core" / "__pycache__",
        Path(AppDirs("numba", False).user_cache_dir),
    ]
    if config.CACHE_DIR or any(map(_can_write, usual)):
        return
    config.CACHE_DIR = os.environ[_VARIABLE] = str(_own_folder())


def discard_unreadable_indexes() -> None:
    """Let numba compile again, instead of failing, where its cache was written by another version of ddpzero.

    Numba unpickles an index before it compares the source's stamp, and types in it may be of modules that were renamed.
    """
    load = IndexDataCacheFile._load_index
    if getattr(load, "discards_unreadable", False):
        return

    def load_or_discard(self: IndexDataCacheFile) -> dict[Any, Any]:
        try:
            return load(self)
        except (ImportError, AttributeError):
            return {}

    load_or_discard.discards_unreadable = True  # type: ignore[attr-defined]
    IndexDataCacheFile._load_index = load_or_discard


def clear_cache(*other_sources: Path) -> tuple[int, int]:
    """Delete the machine code that numba keeps of ddpzero's files; returns how many files, and their bytes.

    The code of all games, one's own included, is kept with the files of ddpzero that call them. other_sources: files
    whose folders may hold compiled functions of their own.
    """
    sources = [*PACKAGE_DIR.rglob("*.py"), *(file.resolve() for file in other_sources)]
    num_files = size_bytes = 0
    for folder in sorted({folder for source in sources for folder in _folders_of(source)}):
        for file in [*folder.glob("*.nbi"), *folder.glob("*.nbc")]:
            size_bytes += file.stat().st_size
            file.unlink()
            num_files += 1
    return num_files, size_bytes


def _folders_of(source: Path) -> Iterator[Path]:
    """Where numba may have kept what it compiled of a file, today or with another NUMBA_CACHE_DIR of ours."""
    yield source.parent / "__pycache__"
    name = _CacheLocator.get_suitable_cache_subpath(str(source))
    for folder in (config.CACHE_DIR, AppDirs("numba", False).user_cache_dir):
        if folder:
            yield Path(folder) / name


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
