"""What the requests of a collection server share: its run, its validators, its database, and the files of games.

Everything that writes to the database runs in one thread, one after another; validation runs in processes.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import math
import multiprocessing
import os
import random
import signal
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa

from ddpzero import __version__
from ddpzero.algorithms.loader import load_algorithm
from ddpzero.arena.ratings import Rating
from ddpzero.config.conversion import settings_from_dict, with_defaults
from ddpzero.games import Game
from ddpzero.games.core.rules_hash import rules_hash
from ddpzero.remote.contributed import contributed_config
from ddpzero.remote.messages import (
    API_VERSION,
    GamesFile,
    MatchReport,
    ModelInformation,
    RunInformation,
    Task,
    TaskRequest,
    UploadAnswer,
)
from ddpzero.remote.model_file import ModelFile, read_model_file
from ddpzero.serve.accounts import User
from ddpzero.serve.database import read_fact, reading, write_fact
from ddpzero.serve.games import (
    count_upload,
    games_path,
    known_answer,
    newest_file,
    note_file,
    remove_leftovers,
    remove_surplus_files,
    waiting_bytes,
    waiting_uploads,
)
from ddpzero.serve.matches import begin_match, finish_match, read_ratings
from ddpzero.serve.models import (
    ModelRow,
    add_model,
    find_model,
    is_model_name,
    list_models,
    model_path,
    remove_surplus_models,
)
from ddpzero.serve.refusals import Refusal
from ddpzero.serve.settings import ServeSettings
from ddpzero.serve.validation import (
    Examination,
    Limits,
    Validator,
    join_uploads,
)
from ddpzero.system.errors import UserError
from ddpzero.system.json_text import json_text
from ddpzero.system.parent import follow_parent

logger = logging.getLogger(__name__)

_Result = TypeVar("_Result")

QUARANTINE_FOLDER = "quarantine"
_RUN_FACT = "run"
# While there is no work, contributors should ask again after so long.
_RETRY_SECONDS = 15
_JOIN_POLL_SECONDS = 1.0
_MIB = 1 << 20

_validator: Validator | None = None


@dataclass(frozen=True)
class CollectedRun:
    """The run that is collected. config: as contributors play it. rules: see rules_hash."""

    name: str
    config: dict[str, Any]
    rules: str
    game: Game


class Collection:
    """The state of a server, in its event loop. folder: of the server. Methods raise Refusal."""

    def __init__(self, folder: Path, settings: ServeSettings, engine: sa.engine.Engine) -> None:
        self.folder = folder
        self.settings = settings
        self.engine = engine
        self.run: CollectedRun | None = None
        self.models: list[ModelRow] = []
        self.ratings: list[Rating] = []
        self._writer = ThreadPoolExecutor(1, "database")
        self._validators: ProcessPoolExecutor | None = None
        self._joining = asyncio.Lock()
        self._closes = asyncio.Event()
        self._joiner: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Take up what an earlier server left: its run, its models, half-written files."""
        for name in (QUARANTINE_FOLDER, games_path(self.folder, 1).parent, "models"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        await self.write(remove_leftovers, self.engine, self.folder)
        with reading(self.engine) as connection:
            stored = read_fact(connection, _RUN_FACT)
        if stored is not None:
            self._set_run(await asyncio.to_thread(_collected_run, *json.loads(stored)))
        await self._refresh()
        self._joiner = asyncio.create_task(self._join_forever())

    async def close(self) -> None:
        """Write all accepted games to files and end the processes."""
        self._closes.set()
        try:
            # A file that is being written is written to its end.
            if self._joiner is not None:
                await self._joiner
            while await self.join_waiting():
                pass
        except (Refusal, OSError, sa.exc.SQLAlchemyError) as error:
            logger.error("accepted games stay in the database until the next start: %s", error)
        finally:
            if self._validators is not None:
                self._validators.shutdown(cancel_futures=True)
            self._writer.shutdown()

    async def write(self, function: Callable[..., _Result], *arguments: Any) -> _Result:
        """Call a function that writes to the database, in the thread of all such functions."""
        return await asyncio.get_running_loop().run_in_executor(
            self._writer, lambda: function(*arguments)
        )

    # ------------------------------------------------------------------ the run and its models

    def information(self) -> RunInformation:
        run = self._the_run()
        return RunInformation(
            api_version=API_VERSION,
            ddpzero=__version__,
            run=run.name,
            rules=run.rules,
            config=run.config,
            min_plies=self.settings.min_plies,
            max_plies=self.settings.max_plies,
            max_upload_bytes=self.settings.max_upload_bytes,
            max_upload_games=self.settings.max_upload_games,
            newest=self.describe(self.models[0]) if self.models else None,
            best=self.describe(self.best_model()) if self.models else None,
        )

    def describe(self, model: ModelRow) -> ModelInformation:
        rating = next((rating for rating in self.ratings if rating.player == model.name), None)
        elo = (rating.elo, rating.low, rating.high) if rating else (None, None, None)
        return ModelInformation(
            *model[1:7],
            model.num_games,
            *elo,
        )

    def best_model(self) -> ModelRow:
        """Return the model with the highest rating; the newest one while there are no ratings."""
        by_name = {model.name: model for model in self.models}
        rated = [by_name[rating.player] for rating in self.ratings if rating.player in by_name]
        return next((model for model in rated if not model.is_removed), self.models[0])

    def model(self, name: str) -> ModelRow:
        model = find_model(self.engine, name) if is_model_name(name) else None
        if model is None or model.is_removed:
            raise Refusal(404, f"there is no model {name[:80]!r}.")
        return model

    async def take_model(self, name: str, content: bytes) -> ModelInformation:
        """Add a released model, once."""
        if not is_model_name(name):
            raise Refusal(422, f"{name[:80]!r} is no name of a model.")
        sha256 = hashlib.sha256(content).hexdigest()
        known = await asyncio.to_thread(find_model, self.engine, name)
        if known is not None:
            if known.sha256 != sha256:
                raise Refusal(409, f"there is another model with the name {name}.")
            return self.describe(known)
        with tempfile.NamedTemporaryFile(
            dir=model_path(self.folder, name).parent, prefix=".pushed-", delete=False
        ) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        path = Path(file.name)
        try:
            model = await asyncio.to_thread(read_model_file, path)
            if model.model != name:
                raise Refusal(422, f"the file contains the model {model.model[:80]!r}, not {name}.")
            await self._take_run(model)
            path.replace(model_path(self.folder, name))
        except UserError as error:
            raise Refusal(422, str(error).replace(str(path), "the model")) from None
        finally:
            path.unlink(missing_ok=True)
        await self.write(add_model, self.engine, model, sha256, len(content))
        await self._refresh()
        most, needed = self.settings.max_models, {self.best_model().name}
        await self.write(remove_surplus_models, self.engine, self.folder, most, needed)
        await self._refresh()
        logger.info("model %s", name)
        return self.describe(self.models[0])

    async def _take_run(self, model: ModelFile) -> None:
        """Begin to collect for the run of a model, or check that it is the one that is collected."""
        config = await asyncio.to_thread(contributed_config, model.config)
        if self.run is not None:
            if model.run != self.run.name or config["game"] != self.run.config["game"]:
                raise Refusal(
                    409,
                    f"this server collects games for the run {self.run.name}; {model.run[:80]} needs another server.",
                )
            if config == self.run.config:
                return
        run = await asyncio.to_thread(_collected_run, model.run, config)
        self._check_lengths(run.game)
        await self.write(self._store_run, run)
        self._set_run(run)

    def _check_lengths(self, game: Game) -> None:
        longest, settings = game.spec.max_plies, self.settings
        if longest < settings.min_plies:
            raise Refusal(
                409,
                f"serve.min_plies={settings.min_plies}: no game of {game.name} has more than {longest} plies; start "
                "the server with a smaller serve.min_plies.",
            )

    def _store_run(self, run: CollectedRun) -> None:
        with self.engine.begin() as connection:
            write_fact(connection, _RUN_FACT, json_text([run.name, run.config]))

    def _set_run(self, run: CollectedRun) -> None:
        self.run = run
        self._restart_validators()

    def _the_run(self) -> CollectedRun:
        if self.run is None:
            raise Refusal(
                503, "no learner has pushed a model yet: try again later.", _RETRY_SECONDS
            )
        return self.run

    async def _refresh(self) -> None:
        self.models = await asyncio.to_thread(list_models, self.engine)
        self.ratings = await asyncio.to_thread(read_ratings, self.engine, self.models)

    # ------------------------------------------------------------------ work for contributors

    async def next_task(self, user: User, request: TaskRequest) -> Task:
        self._the_run()
        settings = self.settings
        models = [model for model in self.models if not model.is_removed]
        wants_match = "match" in request.kinds and len(models) >= 2
        if wants_match and random.random() < settings.match_probability:
            match, model, opponent, seed = await self.write(
                begin_match, self.engine, user, models, settings.match_games
            )
            players = self.describe(model), self.describe(opponent)
            return Task("match", match, *players, settings.match_games, seed)
        if "self_play" in request.kinds and models:
            return Task("self_play", "", self.describe(models[0]))
        raise Refusal(503, "there is no work of these kinds now: try again later.", _RETRY_SECONDS)

    async def take_match(self, user: User, report: MatchReport) -> None:
        game = self._the_run().game
        try:
            await self.write(finish_match, self.engine, user, game, report)
        except UserError as error:
            raise Refusal(422, str(error)) from None
        await self._refresh()

    # ------------------------------------------------------------------ games

    async def take_upload(
        self, user: User, upload_id: str, model_name: str, content: bytes
    ) -> UploadAnswer:
        """Validate and count an upload. Raises Refusal if no game of it can be read, or its model is too old."""
        self._the_run()
        known = await asyncio.to_thread(known_answer, self.engine, user, upload_id)
        if known is None:
            settings, recent = self.settings, self._recent_models()
            model = next((row for row in recent if row.name == model_name), None)
            if model is None:
                newest = f"; the newest is {recent[0].name}" if recent else ""
                raise Refusal(
                    409,
                    f"{model_name[:80]!r} is not one of the {settings.recent_models} newest models, nor of the last "
                    f"{settings.recent_minutes:g} minutes{newest}.",
                )
            limits = Limits(
                settings.min_plies,
                settings.max_plies,
                settings.max_upload_games,
                settings.max_unpacked_bytes,
                frozenset(row.weights_version for row in recent),
            )
            examination = await self._in_validator(_examine, content, limits)
            known = await self.write(
                count_upload, self.engine, user, model, upload_id, content, examination
            )
            if known.rejected and not known.is_known:
                await asyncio.to_thread(self._quarantine, user, upload_id, content)
            self._refresh_counts(model, known)
        if known.accepted + known.repeated == 0 and not _is_of_games(known):
            raise Refusal(422, " ".join(known.reasons) or "the upload contains no games.")
        return known

    def _recent_models(self) -> list[ModelRow]:
        """Return the models whose games are accepted, the newest first."""
        settings = self.settings
        since = time.time() - 60 * settings.recent_minutes
        superseded = [math.inf, *(model.created_at for model in self.models)]
        return [
            model
            for number, model in enumerate(self.models)
            if number < settings.recent_models or superseded[number] >= since
        ]

    def _refresh_counts(self, model: ModelRow, answer: UploadAnswer) -> None:
        self.models = [
            row._replace(
                num_games=row.num_games + answer.accepted,
                num_samples=row.num_samples + answer.samples,
            )
            if row.id == model.id and not answer.is_known
            else row
            for row in self.models
        ]

    def _quarantine(self, user: User, upload_id: str, content: bytes) -> None:
        """Keep a rejected upload for the operator; the oldest ones make room for it."""
        folder, most = self.folder / QUARANTINE_FOLDER, self.settings.quarantine_mib * _MIB
        try:
            (folder / f"{user.name}-{upload_id}.npz").write_bytes(content)
            sizes = {path: path.stat() for path in folder.iterdir()}
            surplus = sum(status.st_size for status in sizes.values()) - most
            for path in sorted(sizes, key=lambda path: sizes[path].st_mtime_ns):
                if surplus <= 0:
                    break
                surplus -= sizes[path].st_size
                path.unlink(missing_ok=True)
        except OSError as error:
            logger.warning("%s: %s", folder, error.strerror)

    # ------------------------------------------------------------------ files of games

    async def _join_forever(self) -> None:
        """Join accepted uploads to files, when they are large or old enough, until the server closes."""
        settings = self.settings
        while not self._closes.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closes.wait(), _JOIN_POLL_SECONDS)
            try:
                size_bytes, first = await asyncio.to_thread(waiting_bytes, self.engine)
                is_old = time.time() - first >= settings.shard_seconds
                if size_bytes and (is_old or size_bytes >= settings.shard_mib * _MIB):
                    await self.join_waiting()
            except (OSError, sa.exc.SQLAlchemyError, Refusal) as error:
                logger.error("accepted games cannot be written to a file now: %s", error)

    async def join_waiting(self) -> int:
        """Write a file of the games that wait for it; return their number."""
        async with self._joining:
            max_bytes = int(self.settings.shard_mib * _MIB)
            waiting = await asyncio.to_thread(waiting_uploads, self.engine, max_bytes)
            if not waiting:
                return 0
            run = self._the_run()
            number = await asyncio.to_thread(newest_file, self.engine) + 1
            path = games_path(self.folder, number)
            uploads = [upload.upload for upload in waiting]
            description = {"run": run.name, "config": run.config, "ddpzero": __version__}
            num_samples, size_bytes, sha256 = await self._in_validator(
                join_uploads, uploads, path, description
            )
            num_games = sum(upload.num_games for upload in waiting)
            file = GamesFile(number, num_games, num_samples, size_bytes, sha256)
            await self.write(note_file, self.engine, file, waiting)
            if self.settings.keep is not None:
                keep = self.settings.keep * 2**30
                await self.write(remove_surplus_files, self.engine, self.folder, keep)
            return num_games

    # ------------------------------------------------------------------ validators

    def _restart_validators(self) -> None:
        run = self._the_run()
        if self._validators is not None:
            self._validators.shutdown(wait=False)
        self._validators = ProcessPoolExecutor(
            self.settings.num_validators,
            multiprocessing.get_context("spawn"),
            _begin_validator,
            (os.getpid(), run.config),
        )

    async def _in_validator(self, function: Callable[..., _Result], *arguments: Any) -> _Result:
        validators = self._validators
        assert validators is not None
        try:
            future: Future[_Result] = validators.submit(function, *arguments)
            return await asyncio.wrap_future(future)
        except BrokenProcessPool:
            logger.exception("a validator died")
            if self._validators is validators:
                self._restart_validators()
            raise Refusal(503, "the games could not be validated: try again.", 5) from None


def _begin_validator(parent_pid: int, config: dict[str, Any]) -> None:
    """Load the run in the process of a validator, which ends with the server."""
    global _validator
    follow_parent(parent_pid)
    # Whoever stops the server may signal all of its processes; it needs this one to its end.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.nice(5)
    _validator = Validator(config)


def _examine(content: bytes, limits: Limits) -> Examination:
    assert _validator is not None
    return _validator.examine(content, limits)


def _collected_run(name: str, config: dict[str, Any]) -> CollectedRun:
    settings = settings_from_dict(with_defaults(config))
    game = load_algorithm(settings).game
    assert isinstance(game, Game)
    return CollectedRun(name, config, rules_hash(game), game)


def _is_of_games(answer: UploadAnswer) -> bool:
    """Return whether the reasons of an answer are about single games."""
    return any(reason.startswith("game ") for reason in answer.reasons)
