"""The settings of a collection server: `serve.yaml` in its folder, and `serve.KEY=VALUE` on the command line."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ddpzero.config.strict import make_dataclass
from ddpzero.remote.messages import MAX_MATCH_GAMES
from ddpzero.system.errors import UserError, require, require_at_least, require_at_most
from ddpzero.system.guarded_files import read_yaml

SETTINGS_FILE = "serve.yaml"
_PREFIX = "serve."


@dataclass(frozen=True)
class ServeSettings:
    """How a server collects games.

    host, port: where it listens; 0 for a free port. database: a URL of SQLAlchemy, such as postgresql://user@host/name;
    None: SQLite in the server's folder. title: of its page; None: the name of the run.
    num_validators: processes that validate uploads, each on one core.
    min_plies, max_plies: the length of an acceptable game. recent_models, recent_minutes: games are accepted of so
    many of the newest models, and of all that were the newest one within so many minutes.
    max_upload_mib, max_unpacked_mib: the size of an upload, and of what is in it. max_upload_games: its games.
    max_model_mib: the size of a model that a learner pushes.
    max_models: models whose files are kept, besides the best one; the oldest are removed.
    match_probability: the share of requests for work that are answered with a rating match of match_games games.
    max_open_matches: of a user, whose games have not arrived yet; who has so many gets no further ones.
    shard_mib, shard_seconds: accepted uploads are joined to a file when they have this size, or are this old.
    keep: GiB of these files; the oldest are removed; None: keep all. quarantine_mib: the same for rejected uploads.
    requests_per_minute, address_requests_per_minute: of a user, and from an address.
    max_address_connections: at the same time from an address that is no trusted proxy; the one that has waited longest
    for a request makes room for the next.
    trusted_proxies: addresses of reverse proxies, whose X-Forwarded-For names the client.
    """

    host: str = "127.0.0.1"
    port: int = 8471
    database: str | None = None
    title: str | None = None
    num_validators: int = 1
    min_plies: int = 10
    max_plies: int = 500
    recent_models: int = 5
    recent_minutes: float = 60.0
    max_upload_mib: float = 8.0
    max_unpacked_mib: float = 64.0
    max_upload_games: int = 500
    max_model_mib: float = 1024.0
    max_models: int = 200
    match_probability: float = 0.1
    match_games: int = 20
    max_open_matches: int = 100
    shard_mib: float = 16.0
    shard_seconds: float = 10.0
    keep: float | None = 50.0
    quarantine_mib: float = 256.0
    requests_per_minute: int = 240
    address_requests_per_minute: int = 1200
    max_address_connections: int = 100
    trusted_proxies: tuple[str, ...] = ("127.0.0.1", "::1")

    def __post_init__(self) -> None:
        require(bool(self.host), "serve.host='' is no address: write 127.0.0.1 or 0.0.0.0.")
        require_at_least(
            "serve",
            self,
            {
                "port": 0,
                "num_validators": 1,
                "min_plies": 1,
                "recent_models": 1,
                "recent_minutes": 0,
                "max_models": 2,
                "max_upload_mib": 0.01,
                "max_unpacked_mib": 0.01,
                "max_upload_games": 1,
                "max_model_mib": 0.01,
                "match_probability": 0,
                "match_games": 2,
                "max_open_matches": 1,
                "shard_mib": 0.01,
                "shard_seconds": 0,
                "quarantine_mib": 0,
                "keep": 0,
                "requests_per_minute": 1,
                "address_requests_per_minute": 1,
                "max_address_connections": 1,
            },
        )
        most = {
            "port": 65535,
            "num_validators": 1024,
            "match_probability": 1,
            "match_games": MAX_MATCH_GAMES,
        }
        sizes = dict.fromkeys(("max_upload_mib", "max_unpacked_mib", "shard_mib"), 1024)
        require_at_most("serve", self, most | sizes | {"max_model_mib": 65536})
        require(
            self.min_plies <= self.max_plies,
            f"serve.min_plies={self.min_plies} is above serve.max_plies={self.max_plies}: no game has such a length.",
        )
        require(
            self.match_games % 2 == 0,
            f"serve.match_games={self.match_games} must be even, because each start is played twice, with sides "
            "swapped.",
        )

    @property
    def max_upload_bytes(self) -> int:
        return math.ceil(self.max_upload_mib * 2**20)

    @property
    def max_unpacked_bytes(self) -> int:
        return math.ceil(self.max_unpacked_mib * 2**20)

    @property
    def shard_bytes(self) -> int:
        return int(self.shard_mib * 2**20)

    @property
    def max_model_bytes(self) -> int:
        return math.ceil(self.max_model_mib * 2**20)


def read_settings(folder: Path, overrides: Sequence[str]) -> ServeSettings:
    """Return the settings of a server's folder, changed by words of the form serve.key=value. Raises UserError."""
    file = folder / SETTINGS_FILE
    values: dict[str, Any] = read_yaml(file) if file.exists() else {}
    for word in overrides:
        key, _, text = word.partition("=")
        require(
            key.startswith(_PREFIX),
            f"{word} is not a setting of the server: they begin with {_PREFIX}, as in serve.port=9000.",
        )
        try:
            values[key.removeprefix(_PREFIX)] = yaml.safe_load(text)
        except yaml.YAMLError:
            raise UserError(f"{word}: the value cannot be read; put it in quotes.") from None
    settings: ServeSettings = make_dataclass(ServeSettings, values, "serve")
    return settings
