"""The settings of a contributor: a YAML file, and KEY=VALUE on the command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from ddpzero.config.strict import make_dataclass
from ddpzero.settings import MAX_THREADS
from ddpzero.system.errors import UserError, require, require_at_least, require_at_most
from ddpzero.system.guarded_files import read_yaml

DEFAULT_FILE = Path("contribute.yaml")


@dataclass(frozen=True)
class ContributeSettings:
    """How a contributor plays.

    server: its URL. token, token_file: of the user; neither: the environment variable DDPZERO_TOKEN.
    folder: for finished games, models and the log. games_per_upload: games in a batch.
    num_actors: processes that play; None: one per core, but one. num_games: that each plays in lockstep, the largest
    batch of its network; None: as in the run. device: where networks are evaluated.
    plays_matches: whether rating matches are played, too. poll_seconds: between two looks for a newer model.
    max_memory_gib: that the actors may need; a run that needs more is not played; None: nine tenths of the free memory.
    max_waiting_mib: finished games that wait for the server, or that it refused; with more, no further ones are played.
    """

    server: str | None = None
    token: str | None = None
    token_file: str | None = None
    folder: str = "contribution"
    games_per_upload: int = 25
    num_actors: int | None = None
    num_games: int | None = None
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    plays_matches: bool = True
    poll_seconds: float = 20.0
    max_memory_gib: float | None = None
    max_waiting_mib: float = 2048.0

    def __post_init__(self) -> None:
        require(bool(self.folder), "folder='' names no folder: write folder=contribution.")
        require(
            self.token is None or self.token_file is None,
            "token and token_file are both given: remove one of them.",
        )
        least = {"games_per_upload": 1, "num_actors": 1, "num_games": 1, "poll_seconds": 0.1}
        least |= {"max_waiting_mib": 1, "max_memory_gib": 0}
        require_at_least("contribute", self, least)
        require_at_most("contribute", self, {"num_actors": MAX_THREADS, "num_games": 100_000})


def read_settings(
    url: str | None, file: Path | None, overrides: Sequence[str]
) -> ContributeSettings:
    """Return the settings from a file, changed by words of the form key=value, and by a URL. Raises UserError.

    file: None for contribute.yaml in the current folder, if it is there.
    """
    if file is None and DEFAULT_FILE.exists():
        file = DEFAULT_FILE
    values: dict[str, Any] = {} if file is None else read_yaml(file)
    for word in overrides:
        key, _, text = word.partition("=")
        try:
            values[key.removeprefix("contribute.")] = yaml.safe_load(text)
        except yaml.YAMLError:
            raise UserError(f"{word}: the value cannot be read; put it in quotes.") from None
    if url is not None:
        values["server"] = url
    settings: ContributeSettings = make_dataclass(ContributeSettings, values, "contribute")
    require(
        settings.server is not None,
        "no server is given: ddpzero contribute https://HOST, or server: https://HOST in contribute.yaml.",
    )
    return settings
