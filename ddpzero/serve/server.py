"""The parts of a collection server, and what opens and closes them."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from ddpzero.serve.collection import Collection
from ddpzero.serve.game_files import GAMES_FOLDER, remove_leftovers
from ddpzero.serve.gate import Gate
from ddpzero.serve.joiner import Joiner
from ddpzero.serve.models import MODELS_FOLDER, remove_half_pushed
from ddpzero.serve.pages import Pages
from ddpzero.serve.pushes import Pushes
from ddpzero.serve.quarantine import QUARANTINE_FOLDER, Quarantine
from ddpzero.serve.settings import ServeSettings
from ddpzero.serve.tasks import Tasks
from ddpzero.serve.uploads import Uploads
from ddpzero.serve.validators import Validators
from ddpzero.serve.writer import Writer


class CollectionServer:
    """A server. Everything that writes to the database runs in one thread; what clients sent is read in processes."""

    def __init__(self, folder: Path, settings: ServeSettings, engine: sa.engine.Engine) -> None:
        self._writer = Writer()
        self._validators = Validators(settings.num_validators)
        self.settings = settings
        self.collection = Collection(folder, settings, engine)
        self.gate = Gate(
            engine,
            settings.requests_per_minute,
            settings.address_requests_per_minute,
            settings.max_upload_bytes,
        )
        self.pages = Pages(self.collection)
        self.joiner = Joiner(self.collection, self._validators, self._writer)
        self.pushes = Pushes(self.collection, self._writer, self.joiner)
        self.uploads = Uploads(
            self.collection,
            self._validators,
            self._writer,
            Quarantine(folder, settings.quarantine_mib * 2**20),
            self.joiner.counting,
        )
        self.tasks = Tasks(self.collection, self._writer)

    async def open(self) -> None:
        """Take up what an earlier server left, also a half-written file."""
        collection = self.collection
        for name in (QUARANTINE_FOLDER, GAMES_FOLDER, MODELS_FOLDER):
            (collection.folder / name).mkdir(parents=True, exist_ok=True)
        remove_half_pushed(collection.folder)
        await self._writer.call(remove_leftovers, collection.engine, collection.folder)
        await collection.open()
        self.joiner.start()

    async def close(self) -> None:
        """Write all accepted games to files, and end the processes and the thread."""
        try:
            await self.joiner.close()
        finally:
            self._validators.close()
            self._writer.close()
