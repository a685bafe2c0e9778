"""Rejected uploads, which an operator may want to look at: `quarantine/<user>-<id>.npz` in a server's folder."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

logger = logging.getLogger(__name__)

QUARANTINE_FOLDER = "quarantine"


class Quarantine:
    """Keeps uploads. folder: of the server. max_bytes: of all of them; the oldest ones make room.

    Used from several threads.
    """

    def __init__(self, folder: Path, max_bytes: float) -> None:
        self.folder = folder / QUARANTINE_FOLDER
        self._max_bytes = max_bytes
        self._keeping = threading.Lock()

    def keep(self, user_name: str, upload_id: str, content: bytes) -> None:
        """Keep an upload; a disk that cannot is only a warning."""
        try:
            with self._keeping:
                (self.folder / f"{user_name}-{upload_id}.npz").write_bytes(content)
                self._make_room()
        except OSError as error:
            logger.warning("%s: %s", self.folder, error.strerror)

    def _make_room(self) -> None:
        status = {path: path.stat() for path in self.folder.iterdir()}
        surplus = sum(each.st_size for each in status.values()) - self._max_bytes
        for path in sorted(status, key=lambda path: status[path].st_mtime_ns):
            if surplus <= 0:
                break
            surplus -= status[path].st_size
            path.unlink(missing_ok=True)
