"""The messages between a collection server and its clients, as dataclasses; the server documents them at /api/docs.

Bodies of answers are JSON with these fields. A refusal is a `RefusalAnswer` with status 4xx or 5xx.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from ddpzero.system.errors import require

# Part of every path. A server and a client with different numbers refuse each other.
API_VERSION = 1
API_PATH = f"/api/v{API_VERSION}"
MAX_MATCH_GAMES = 1000
# Of numbers that clients count and allocate with: weights_version is an int32 in samples.
_MAX_FILE_BYTES = 1 << 36
_MAX_COUNT = 2**31 - 1
_MAX_TOTAL = 2**63 - 1

Role = Literal["contributor", "learner"]


@dataclass(frozen=True)
class ModelInformation:
    """A released model.

    name: unique among the models of a server. sha256: hash of its file. size_bytes: size of its file. weights_version:
    that of the run when it saved the model. samples_trained: those that the run was trained on until then. created_at:
    Unix time when the server received it.

    num_games: games that it played for training and that count. elo: its rating, relative to the oldest model; None
    without rating games. low, high: the ends of the 95 % interval of elo; None without rating games.
    """

    name: str
    sha256: str
    size_bytes: int
    weights_version: int
    samples_trained: int
    created_at: float
    num_games: int = 0
    elo: float | None = None
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        _require_range(self, 1, _MAX_FILE_BYTES, "size_bytes")
        _require_range(self, 0, _MAX_COUNT, "weights_version")
        _require_range(self, 0, _MAX_TOTAL, "samples_trained", "num_games")


@dataclass(frozen=True)
class Models:
    """The released models. models: the newest first."""

    models: list[ModelInformation]


@dataclass(frozen=True)
class RunInformation:
    """What a server collects.

    api_version: version of these messages. ddpzero: version of the server. run: its name. rules: hash of the code of
    the game's rules, equal on client and server. config: that of the run, as contributors play it. min_plies,
    max_plies: the length of an acceptable game. max_upload_bytes, max_upload_games: the size of an upload. newest: the
    model to play with; None before the first one. best: the model with the highest rating, or the newest; None before
    the first one.
    """

    api_version: int
    ddpzero: str
    run: str
    rules: str
    config: dict[str, Any]
    min_plies: int
    max_plies: int
    max_upload_bytes: int
    max_upload_games: int
    newest: ModelInformation | None = None
    best: ModelInformation | None = None

    def __post_init__(self) -> None:
        _require_range(self, 0, _MAX_TOTAL, "min_plies", "max_plies")
        _require_range(self, 1, _MAX_TOTAL, "max_upload_bytes", "max_upload_games")


@dataclass(frozen=True)
class TaskRequest:
    """A request for work. kinds: kinds of work that the client wants, of "self_play" and "match"; both if it is left
    out.
    """

    kinds: list[str] = field(default_factory=lambda: ["self_play", "match"])


@dataclass(frozen=True)
class Task:
    """Work for a contributor.

    kind: "self_play": play with `model` until there is a newer one. "match": play num_games games of `model` against
    `opponent`, from the random openings of `seed`. id: names the task in the report of a match. model: the one that
    plays. opponent: of a match only. num_games, seed: of a match; 0 otherwise.
    """

    kind: str
    id: str
    model: ModelInformation
    opponent: ModelInformation | None = None
    num_games: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        is_match = self.kind == "match" and self.opponent is not None
        require(is_match or self.kind == "self_play", f"kind={self.kind[:20]!r} is no work.")
        require(
            0 <= self.num_games <= MAX_MATCH_GAMES and self.num_games % 2 == 0,
            f"num_games={self.num_games} is not even, or not from 0 to {MAX_MATCH_GAMES}.",
        )
        require(0 <= self.seed < 2**63, f"seed={self.seed} is out of range.")


@dataclass(frozen=True)
class UploadAnswer:
    """What became of the games of an upload. accepted: games that count. repeated: games sent before, by anybody.
    rejected: games that are not valid; 1 for an upload that cannot be read. samples: positions in the accepted games.
    reasons: why the first 20 rejected games are not valid, with the number of each. is_known: whether
    the same upload was received before; then nothing was counted again.
    """

    accepted: int
    repeated: int
    rejected: int
    samples: int
    reasons: list[str] = field(default_factory=list)
    is_known: bool = False

    def __post_init__(self) -> None:
        _require_range(self, 0, _MAX_TOTAL, "accepted", "repeated", "rejected", "samples")


@dataclass(frozen=True)
class MatchReport:
    """The games of a match. task: the id of the match. moves: actions of each game after its opening; game 2i has
    `model` as the first player and game 2i + 1 has `opponent`, both from opening i. seconds: how long all games took.
    """

    task: str
    moves: list[list[int]]
    seconds: float


@dataclass(frozen=True)
class MatchAnswer:
    """What became of the report of a match. is_counted: always true, because what cannot be counted is refused."""

    is_counted: bool


@dataclass(frozen=True)
class GamesFile:
    """A file of accepted games, training_data/run_001/games_<number>.npz. number: counts from 1 on. num_games,
    num_samples: how many are in the file. size_bytes: size of the file. sha256: hash of the file.
    """

    number: int
    num_games: int
    num_samples: int
    size_bytes: int
    sha256: str

    def __post_init__(self) -> None:
        _require_range(self, 1, _MAX_COUNT, "number")
        _require_range(self, 0, _MAX_COUNT, "num_games", "num_samples")
        _require_range(self, 1, _MAX_FILE_BYTES, "size_bytes")


@dataclass(frozen=True)
class GamesFiles:
    """The files of accepted games after a number. newest: the largest number there is. files: in their order, at most
    100; none if there are no newer ones.
    """

    newest: int
    files: list[GamesFile] = field(default_factory=list)

    def __post_init__(self) -> None:
        _require_range(self, 0, _MAX_COUNT, "newest")


@dataclass(frozen=True)
class Contributor:
    """A user and the counts of all uploads.

    name: unique among the users of a server. num_games: accepted games of self-play. num_samples: positions in them to
    learn from. num_repeated: games sent before, by anybody. num_rejected: games that were not valid; 1 for an upload
    that cannot be read. num_match_games: games of rating matches. created_at: Unix time of the first token.
    last_seen_at: Unix time of the last upload or match; None if there was none.
    """

    name: str
    num_games: int
    num_samples: int
    num_repeated: int
    num_rejected: int
    num_match_games: int
    created_at: float
    last_seen_at: float | None


@dataclass(frozen=True)
class RunStatistics:
    """Everything on the page of the run.

    run, game: the name; "" before the first model. num_games, num_samples, num_repeated, num_rejected, num_match_games:
    the sum over all contributors; see Contributor. num_files: files of games that still exist. size_bytes: size of
    these files together. num_contributors: users of any role who sent games, of self-play or of matches. num_active:
    those of them who were heard of within 15 minutes. models: the newest first. contributors: the first 1,000 of them,
    most games first.
    """

    run: str
    game: str
    num_games: int
    num_samples: int
    num_repeated: int
    num_rejected: int
    num_match_games: int
    num_contributors: int
    num_active: int
    num_files: int
    size_bytes: int
    models: list[ModelInformation]
    contributors: list[Contributor]


@dataclass(frozen=True)
class RefusalAnswer:
    """Why a request is refused. error: a sentence for people."""

    error: str


def as_json(message: Any) -> dict[str, Any]:
    return asdict(message)


def _require_range(message: object, least: int, most: int, *names: str) -> None:
    """Raise UserError for the first field that is not in this range."""
    for name in names:
        value = getattr(message, name)
        require(least <= value <= most, f"{name}={value} is not from {least} to {most}.")
