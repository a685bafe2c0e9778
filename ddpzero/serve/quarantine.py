"""Rejected uploads, which an operator may want to look at: `quarantine/<user>-<id>.npz` in a server's folder."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

logger = logging.getLogger(__name__)

QUARANTINE_FOLDER = "quarantine"
# A file has whole blocks on disk, and its name and its owner have another one.
_BLOCK_BYTES = 4096


class Quarantine:
    """Keeps uploads. folder: of the server. max_bytes: of all of them on disk; the oldest ones make room.

    Used from several threads.
    """

    def __init__(self, folder: Path, max_bytes: float) -> None:
        self.folder = folder / QUARANTINE_FOLDER
        self._max_bytes = max_bytes
        self._keeping = threading.Lock()
        # The bytes of each file, the oldest first; None before the first upload.
        self._kept: dict[Path, int] | None = None
        self._num_bytes = 0

    def keep(self, user_name: str, upload_id: str, content: bytes) -> None:
        """Keep an upload; a disk that cannot is only a warning."""
        try:
            with self._keeping:
                if self._kept is None:
                    self._kept = self._found()
                    self._num_bytes = sum(self._kept.values())
                self._add(self._kept, self.folder / f"{user_name}-{upload_id}.npz", content)
        except OSError as error:
            logger.warning("%s: %s", self.folder, error.strerror)

    def _found(self) -> dict[Path, int]:
        status = {path: path.stat() for path in self.folder.iterdir()}
        oldest_first = sorted(status, key=lambda path: status[path].st_mtime_ns)
        return {path: _bytes_on_disk(status[path].st_size) for path in oldest_first}

    def _add(self, kept: dict[Path, int], path: Path, content: bytes) -> None:
        # Counted first: also a part of a file takes room.
        self._num_bytes -= kept.pop(path, 0)
        kept[path] = _bytes_on_disk(len(content))
        self._num_bytes += kept[path]
        try:
            path.write_bytes(content)
        finally:
            while kept and self._num_bytes > self._max_bytes:
                oldest = next(iter(kept))
                oldest.unlink(missing_ok=True)
                self._num_bytes -= kept.pop(oldest)


def _bytes_on_disk(size: int) -> int:
    return (-(-size // _BLOCK_BYTES) + 1) * _BLOCK_BYTES
