"""Chooses the folder of numba's cache where numba cannot write its default ones, and deletes cached machine code.

By default numba writes beside the sources or in the user's cache folder. Called by compiled.py in every process before
anything is compiled, and by `ddpzero cache clear`.
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
    """Set NUMBA_CACHE_DIR, for this process and its children, unless numba finds a writable folder by itself.

    Without it, a read-only installation that is used without a writable home directory fails with numba's "no locator
    available", also if NUMBA_CACHE_DIR names a folder that cannot be written.
    """
    if any(map(_can_write, _folders_of_numba())):
        return
    config.CACHE_DIR = os.environ[_VARIABLE] = str(_own_folder())


def cache_folder() -> Path:
    """Return the folder in which numba caches the code of ddpzero's files; with NUMBA_CACHE_DIR, in folders of it."""
    return next(filter(_can_write, _folders_of_numba()), None) or _own_folder()


def _folders_of_numba() -> list[Path]:
    """Return the folders that numba tries: it takes the first one that it can write."""
    return [
        *([Path(config.CACHE_DIR)] if config.CACHE_DIR else []),
        PACKAGE_DIR / "games" / "core" / "__pycache__",
        Path(AppDirs("numba", False).user_cache_dir),
    ]


def discard_unreadable_indexes() -> None:
    """Make numba compile again, instead of fail, if its cache was written by another version of ddpzero.

    Numba unpickles an index before it compares the time stamp of the source, and the index may refer to types of
    modules that have been renamed.
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
    """Delete the machine code that numba has cached for ddpzero's files; return their number and total size in bytes.

    The code of all games, including games from other files, is cached with the files of ddpzero that call them.
    other_sources: files whose folders may hold further compiled functions.
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
    """Yield the folders where numba may have cached code of a file, with or without NUMBA_CACHE_DIR."""
    yield source.parent / "__pycache__"
    name = _CacheLocator.get_suitable_cache_subpath(str(source))
    for folder in (config.CACHE_DIR, AppDirs("numba", False).user_cache_dir):
        if folder:
            yield Path(folder) / name


def _own_folder() -> Path:
    """Return a folder, the same in every process, that no other user can write: numba executes code from it."""
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
    """Return whether a folder can be written, tested as numba does."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True
