"""Hands out work to contributors: games to play for the training, and rating matches, whose reports it takes."""

from __future__ import annotations

import asyncio
import random

from ddpzero.remote.messages import MatchReport, Task, TaskRequest
from ddpzero.serve.accounts import User
from ddpzero.serve.collection import Collection
from ddpzero.serve.matches import begin_match, find_open_match, finish_match, replay_match
from ddpzero.serve.refusals import Refusal
from ddpzero.serve.writer import Writer
from ddpzero.system.errors import UserError

# While there is no work, contributors should ask again after so long.
_RETRY_SECONDS = 15


class Tasks:
    """Hands out work. Used in the server's event loop only."""

    def __init__(self, collection: Collection, writer: Writer) -> None:
        self._collection = collection
        self._writer = writer

    async def next(self, user: User, request: TaskRequest) -> Task:
        """Return work of a kind that is asked for. Raises Refusal if there is none."""
        self._collection.begun_run()
        models = self._collection.present_models()
        can_be_match = "match" in request.kinds and len(models) >= 2
        if can_be_match and random.random() < self._collection.settings.match_probability:
            match = await self._match(user)
            if match is not None:
                return match
        if "self_play" in request.kinds and models:
            return Task("self_play", "", self._collection.describe(models[0]))
        raise Refusal(503, "there is no work of these kinds now: try again later.", _RETRY_SECONDS)

    async def take_report(self, user: User, report: MatchReport) -> None:
        """Verify and count the games of a match, once. Raises Refusal."""
        collection = self._collection
        game = collection.begun_run().game
        try:
            found = await asyncio.to_thread(find_open_match, collection.engine, user, report)
            if found is None:
                return
            # Not in the thread that writes: games may be long.
            results, lengths = await asyncio.to_thread(replay_match, game, report.moves, found[1])
        except UserError as error:
            raise Refusal(422, str(error)) from None
        await self._writer.call(finish_match, collection.engine, user, report, results, lengths)
        await collection.refresh()

    async def _match(self, user: User) -> Task | None:
        """Return a match to play; None if the user has not reported too many others."""
        collection, settings = self._collection, self._collection.settings
        begun = await self._writer.call(
            begin_match,
            collection.engine,
            user,
            collection.present_models(),
            settings.match_games,
            settings.max_open_matches,
        )
        if begun is None:
            return None
        match, model, opponent, seed = begun
        players = collection.describe(model), collection.describe(opponent)
        return Task("match", match, *players, settings.match_games, seed)
