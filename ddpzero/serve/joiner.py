"""Joins accepted uploads to files of games, when they are large or old enough.

An upload that no file can be written of is set aside: the others are joined without it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from contextlib import suppress

import sqlalchemy as sa

from ddpzero import __version__
from ddpzero.remote.messages import GamesFile
from ddpzero.serve.collection import Collection
from ddpzero.serve.game_files import (
    WaitingUpload,
    games_path,
    newest_file,
    note_file,
    remove_surplus_files,
    set_aside,
    waiting_bytes,
    waiting_uploads,
)
from ddpzero.serve.upload_content import join_uploads
from ddpzero.serve.validators import Validators
from ddpzero.serve.writer import Writer

logger = logging.getLogger(__name__)

_POLL_SECONDS = 1.0
# A file that was not written is written later: its games wait in the database.
_ERRORS = (OSError, sa.exc.SQLAlchemyError)


class Joiner:
    """Writes the files of games. Used in the server's event loop only.

    counting: to be held while games are counted, or while the run changes.
    """

    def __init__(self, collection: Collection, validators: Validators, writer: Writer) -> None:
        self._collection = collection
        self._validators = validators
        self._writer = writer
        self.counting = asyncio.Lock()
        self._joining = asyncio.Lock()
        self._closes = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._join_forever())

    async def close(self) -> None:
        """Write all accepted games to files. A file that is being written is written to its end."""
        self._closes.set()
        try:
            if self._task is not None:
                await self._task
            await self.join_all()
        except _ERRORS as error:
            logger.error("accepted games stay in the database until the next start: %s", error)
        except Exception:
            logger.exception("accepted games stay in the database until the next start")

    async def join_all(self) -> None:
        """Write all games that wait to files. Raises OSError or SQLAlchemyError."""
        while await self.join_waiting():
            pass

    async def join_waiting(self) -> int:
        """Write a file of the games that wait for it, or several; return the number of uploads that wait no more."""
        collection, settings = self._collection, self._collection.settings
        async with self._joining:
            waiting = await asyncio.to_thread(
                waiting_uploads, collection.engine, settings.shard_bytes
            )
            if not waiting:
                return 0
            await self._join(waiting)
            if settings.keep is not None:
                max_bytes = settings.keep * 2**30
                await self._writer.call(
                    remove_surplus_files, collection.engine, collection.folder, max_bytes
                )
            return len(waiting)

    async def _join(self, waiting: Sequence[WaitingUpload]) -> None:
        """Write uploads to a file; if that fails because of what is in them, each half of them to one of its own."""
        try:
            await self._write_file(waiting)
        except _ERRORS:
            raise
        except Exception as error:
            if len(waiting) > 1:
                middle = len(waiting) // 2
                await self._join(waiting[:middle])
                await self._join(waiting[middle:])
                return
            (upload,) = waiting
            logger.exception(
                "the upload %d (row of the table uploads) cannot be written to a file: %s. Its %d accepted games "
                "are set aside: no learner gets them.",
                upload.id,
                error,
                upload.num_games,
            )
            await self._writer.call(set_aside, self._collection.engine, upload)

    async def _write_file(self, waiting: Sequence[WaitingUpload]) -> None:
        collection = self._collection
        run = collection.begun_run()
        number = await asyncio.to_thread(newest_file, collection.engine) + 1
        num_samples, size_bytes, sha256 = await self._validators.call(
            join_uploads,
            [upload.upload for upload in waiting],
            games_path(collection.folder, number),
            {"run": run.name, "config": run.config, "ddpzero": __version__},
        )
        num_games = sum(upload.num_games for upload in waiting)
        file = GamesFile(number, num_games, num_samples, size_bytes, sha256)
        await self._writer.call(note_file, collection.engine, file, waiting)

    async def _join_forever(self) -> None:
        while not self._closes.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closes.wait(), _POLL_SECONDS)
            try:
                if await self._is_due():
                    await self.join_waiting()
            except _ERRORS as error:
                logger.error("accepted games cannot be written to a file now: %s", error)
            except Exception:
                # Whatever it was: the games that come later must not wait for ever.
                logger.exception("accepted games cannot be written to a file now")

    async def _is_due(self) -> bool:
        settings = self._collection.settings
        size_bytes, first = await asyncio.to_thread(waiting_bytes, self._collection.engine)
        is_old = time.time() - first >= settings.shard_seconds
        return size_bytes > 0 and (is_old or size_bytes >= settings.shard_bytes)
