"""Collection servers that answer in this process."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from ddpzero.remote.messages import API_PATH
from ddpzero.serve.accounts import add_user
from ddpzero.serve.app import make_app
from ddpzero.serve.database import open_database
from ddpzero.serve.server import CollectionServer
from ddpzero.serve.settings import ServeSettings
from tests.serve.material import material, model_name

LENIENT = {
    "min_plies": 1,
    "requests_per_minute": 100_000,
    "address_requests_per_minute": 100_000,
    "shard_seconds": 1000.0,
}


@dataclass
class ServerOfTest:
    """A server that runs. parts: its own. alice, bob: headers of contributors; learner: of a learner."""

    client: TestClient
    parts: CollectionServer
    folder: Path
    alice: dict[str, str]
    bob: dict[str, str]
    learner: dict[str, str]

    def push(self, number: int) -> Any:
        return self.client.put(
            f"{API_PATH}/models/{model_name(number)}",
            content=material().numbered(number),
            headers=self.learner,
        )

    def upload(
        self,
        content: bytes,
        headers: dict[str, str] | None = None,
        upload_id: str | None = None,
        model: str = model_name(1),
    ) -> Any:
        return self.client.put(
            f"{API_PATH}/games/{upload_id or secrets.token_hex(16)}",
            content=content,
            params={"model": model},
            headers=headers or self.alice,
        )

    def statistics(self) -> dict[str, Any]:
        found: dict[str, Any] = self.client.get(f"{API_PATH}/statistics").json()
        return found


@contextmanager
def serving(folder: Path, database: str | None = None, **settings: Any) -> Iterator[ServerOfTest]:
    """Serve from a folder."""
    engine = open_database(folder, database)
    headers = {
        name: {"Authorization": f"Bearer {add_user(engine, name, role)}"}
        for name, role in (("alice", "contributor"), ("bob", "contributor"), ("lea", "learner"))
    }
    parts = CollectionServer(folder, ServeSettings(**{**LENIENT, **settings}), engine)
    with TestClient(make_app(parts), raise_server_exceptions=False) as client:
        yield ServerOfTest(client, parts, folder, headers["alice"], headers["bob"], headers["lea"])
    engine.dispose()
