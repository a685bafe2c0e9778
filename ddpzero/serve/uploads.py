"""Takes the games that contributors upload: validates and counts them, and keeps the rejected ones apart."""

from __future__ import annotations

import asyncio
import logging

from ddpzero.remote.messages import UploadAnswer
from ddpzero.serve.accounts import User
from ddpzero.serve.collection import Collection
from ddpzero.serve.games import CountedUpload, count_upload, find_upload
from ddpzero.serve.models import ModelRow
from ddpzero.serve.quarantine import Quarantine
from ddpzero.serve.refusals import Refusal
from ddpzero.serve.validation import Examination, Limits, examine
from ddpzero.serve.validators import ProcessLost, Validators
from ddpzero.serve.writer import Writer
from ddpzero.system.json_text import json_text

logger = logging.getLogger(__name__)


class Uploads:
    """Takes uploads. Used in the server's event loop only.

    counting: held while games are counted: the run does not change meanwhile.
    """

    def __init__(
        self,
        collection: Collection,
        validators: Validators,
        writer: Writer,
        quarantine: Quarantine,
        counting: asyncio.Lock,
    ) -> None:
        self._collection = collection
        self._validators = validators
        self._writer = writer
        self._quarantine = quarantine
        self._counting = counting
        self._senders: set[int] = set()

    async def take(
        self, user: User, upload_id: str, model_name: str, content: bytes
    ) -> UploadAnswer:
        """Validate and count an upload, once.

        model_name: that played. content: of a file of episodes. Raises Refusal if no game of it can be read, or the
        model is too old.
        """
        engine = self._collection.engine
        self._collection.begun_run()
        counted = await asyncio.to_thread(find_upload, engine, user, upload_id)
        if counted is None:
            counted = await self._receive(user, upload_id, model_name, content)
        if counted.problem:
            raise Refusal(422, counted.problem)
        return counted.answer

    async def _receive(
        self, user: User, upload_id: str, model_name: str, content: bytes
    ) -> CountedUpload:
        collection = self._collection
        recent = collection.recent_models()
        model = self._playing_model(model_name, recent)
        counted: CountedUpload | None = None
        while counted is None:
            run = collection.begun_run()
            examination = await self._examine(content, recent, json_text(run.config))
            async with self._counting:
                # Games are valid for the config with which they were examined.
                if collection.run is run:
                    counted = await self._writer.call(
                        count_upload,
                        collection.engine,
                        user,
                        model,
                        upload_id,
                        content,
                        examination,
                    )
        self._log_first(user, counted)
        if counted.model is not None:
            collection.note_games(counted.model)
            if counted.answer.rejected:
                await asyncio.to_thread(self._quarantine.keep, user.name, upload_id, content)
        return counted

    def _log_first(self, user: User, counted: CountedUpload) -> None:
        """Log the first upload of a user since the server was started."""
        if user.id in self._senders:
            return
        self._senders.add(user.id)
        answer = counted.answer
        logger.info(
            "%s sends games: %d accepted, %d repeated, %d rejected in the first upload since the start",
            *(user.name, answer.accepted, answer.repeated, answer.rejected),
        )

    async def _examine(self, content: bytes, recent: list[ModelRow], config: str) -> Examination:
        try:
            return await self._validators.call(examine, content, self._limits(recent), config)
        except ProcessLost as error:
            return Examination(f"the upload is refused: {error}.")

    def _playing_model(self, name: str, recent: list[ModelRow]) -> ModelRow:
        model = next((row for row in recent if row.name == name), None)
        if model is None:
            settings = self._collection.settings
            newest = f"; the newest is {recent[0].name}" if recent else ""
            raise Refusal(
                409,
                f"{name[:80]!r} is not one of the {settings.recent_models} newest models, nor of the last "
                f"{settings.recent_minutes:g} minutes{newest}.",
            )
        return model

    def _limits(self, recent: list[ModelRow]) -> Limits:
        settings = self._collection.settings
        return Limits(
            min_plies=settings.min_plies,
            max_plies=settings.max_plies,
            max_games=settings.max_upload_games,
            max_unpacked_bytes=settings.max_unpacked_bytes,
            versions=frozenset(row.weights_version for row in recent),
        )
