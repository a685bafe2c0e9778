"""A collection server, as its clients see it: one method for each request, with the errors that can follow.

A request is made once. `patiently` repeats it while the server cannot be reached.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import string
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import httpx2 as httpx
import tenacity

from ddpzero import __version__
from ddpzero.config.strict import make_dataclass
from ddpzero.remote.messages import (
    API_PATH,
    API_VERSION,
    GamesFile,
    GamesFiles,
    MatchReport,
    ModelInformation,
    RunInformation,
    Task,
    TaskRequest,
    UploadAnswer,
)
from ddpzero.system.addresses import is_loopback
from ddpzero.system.errors import UserError, require
from ddpzero.system.guarded_files import is_count, printable

_Result = TypeVar("_Result")

TOKEN_VARIABLE = "DDPZERO_TOKEN"
_TOKEN_CHARACTERS = set(string.ascii_letters + string.digits + "-_")
_MAX_TOKEN_LENGTH = 200
_MAX_ANSWER_BYTES = 16 << 20
_MAX_SENTENCE = 500
# The end of a server's sentence that a client which waits does not repeat.
_LATER = ": try again later"
_CHUNK_BYTES = 1 << 20
_TIMEOUT = httpx.Timeout(60.0, connect=20.0)
# Between two tries: twice as long each time, with jitter, so that thousands of clients do not come back together.
_FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 1.0, 300.0


class ServerUnavailable(RuntimeError):
    """The server cannot be reached, or says that it is too busy: try again later. The message is a clause.

    wait_seconds: that it asks for; None if it says nothing.
    """

    def __init__(self, message: str, wait_seconds: float | None = None) -> None:
        super().__init__(message)
        self.wait_seconds = wait_seconds


class ServerRefused(UserError):
    """The server refused a request with a sentence of its own: the same one would be refused again. status: of HTTP.

    An answer without such a sentence comes from something else on the way: that is a ServerUnavailable.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def patiently(
    request: Callable[[], _Result],
    *,
    on_wait: Callable[[str, float], None],
    sleep: Callable[[float], object],
    give_up: Callable[[], bool] = lambda: False,
) -> _Result:
    """Make a request until it succeeds or is refused. Raises ServerUnavailable only if it gives up.

    on_wait: called with the problem and the seconds until the next try. sleep: may return early. give_up: asked before
    each wait.
    """
    backoff = tenacity.wait_exponential(_FIRST_WAIT_SECONDS, max=_LONGEST_WAIT_SECONDS)

    def wait_seconds(state: tenacity.RetryCallState) -> float:
        assert state.outcome is not None
        error = state.outcome.exception()
        asked = error.wait_seconds if isinstance(error, ServerUnavailable) else None
        return (backoff(state) if asked is None else asked) * random.uniform(0.5, 1.0)

    def tell(state: tenacity.RetryCallState) -> None:
        assert state.outcome is not None and state.next_action is not None
        on_wait(str(state.outcome.exception()), state.next_action.sleep)

    def rest(seconds: float) -> None:
        sleep(seconds)

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(ServerUnavailable),
        wait=wait_seconds,
        stop=lambda state: give_up(),
        sleep=rest,
        before_sleep=tell,
        reraise=True,
    )
    return retrying(request)


def read_token(token_file: str | None, option: str) -> str:
    """Return the token from a file, or from the environment. option: that names the file. Raises UserError."""
    if token_file is None:
        token = os.environ.get(TOKEN_VARIABLE, "")
        role = " --role learner" if option.startswith("collect.") else ""
        require(
            bool(token),
            f"no token is given: set {option} to a file with it, or the environment variable {TOKEN_VARIABLE}. "
            f"The server's operator makes one with `ddpzero serve FOLDER --add-user NAME{role}`.",
        )
    else:
        try:
            token = Path(token_file).expanduser().read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not text"
            raise UserError(f"{option}={token_file} cannot be read: {reason}.") from None
    require(
        0 < len(token) <= _MAX_TOKEN_LENGTH and set(token) <= _TOKEN_CHARACTERS,
        f"the token of {option if token_file else TOKEN_VARIABLE} is none: tokens have letters, digits, - and _.",
    )
    return token


class Server:
    """A collection server. Methods raise ServerUnavailable, also for an answer that no server gives, or ServerRefused.

    url: such as https://host/games. Use it from one thread at a time; close it at the end. is_private: whether nobody
    on the way can read the token.
    """

    def __init__(self, url: str, token: str) -> None:
        self.url = url.rstrip("/")
        parts = httpx.URL(self.url) if _is_url(self.url) else None
        require(
            parts is not None and parts.scheme in ("http", "https") and bool(parts.host),
            f"server={url[:200]} is no address: write http:// or https:// and a host, as in https://games.example.org.",
        )
        assert parts is not None
        # Otherwise everybody on the way can read the token.
        self.is_private = parts.scheme == "https" or is_loopback(parts.host)
        headers = {
            "Authorization": f"Bearer {token}",
            "User-Agent": f"ddpzero/{__version__}",
            "Accept-Encoding": "identity",
        }
        self._client = httpx.Client(headers=headers, timeout=_TIMEOUT)

    def close(self) -> None:
        self._client.close()

    def run(self) -> RunInformation:
        """Return what the server collects. Raises UserError if it speaks another version."""
        answer = self._json("GET", "/run")
        version = answer.get("api_version") if isinstance(answer, dict) else None
        require(
            version == API_VERSION or not is_count(version),
            f"{self.url} speaks version {str(version)[:20]} of the protocol, and ddpzero {__version__} speaks "
            f"{API_VERSION}: install the version of ddpzero that the server has.",
        )
        return self._message(RunInformation, answer)

    def models(self) -> list[ModelInformation]:
        answer = self._json("GET", "/models")
        entries = answer.get("models") if isinstance(answer, dict) else None
        if not isinstance(entries, list):
            raise ServerUnavailable(f"{self.url} gave an answer that is no list of models")
        return [self._message(ModelInformation, entry) for entry in entries]

    def task(self, request: TaskRequest) -> Task:
        """Return work. Raises ServerUnavailable while there is none."""
        return self._message(Task, self._json("POST", "/tasks", json=asdict(request)))

    def upload(self, upload_id: str, model: str, path: Path) -> UploadAnswer:
        """Send a file of episodes. Repeated with the same id, it is counted once."""
        content = path.read_bytes()
        query = {"model": model}
        answer = self._json("PUT", f"/games/{upload_id}", content=content, params=query)
        return self._message(UploadAnswer, answer)

    def report_match(self, report: MatchReport) -> None:
        self._json("PUT", f"/matches/{report.task}", json=asdict(report))

    def push_model(self, name: str, content: bytes) -> ModelInformation:
        answer = self._json("PUT", f"/models/{name}", content=content)
        return self._message(ModelInformation, answer)

    def games_after(self, number: int) -> GamesFiles:
        return self._message(GamesFiles, self._json("GET", "/files", params={"after": str(number)}))

    def download_model(self, model: ModelInformation, path: Path) -> None:
        """Download a model's file, from where an earlier download ended, and check its hash."""
        self._download(f"/models/{model.name}/file", path, model.size_bytes, model.sha256)

    def download_games(self, file: GamesFile, path: Path) -> None:
        """Download a file of accepted games, as download_model."""
        self._download(f"/files/{file.number}", path, file.size_bytes, file.sha256)

    def _download(self, where: str, path: Path, size_bytes: int, sha256: str) -> None:
        partial = partial_path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        start = partial.stat().st_size if partial.exists() else 0
        if start < size_bytes:
            self._fetch_rest(where, partial, start, size_bytes)
        digest = hashlib.sha256()
        with open(partial, "rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
            os.fsync(file.fileno())
        if digest.hexdigest() != sha256.lower():
            partial.unlink()
            raise ServerUnavailable(
                f"{self.url}{where} was damaged on its way: its hash is not the one announced"
            )
        partial.replace(path)

    def _fetch_rest(self, where: str, partial: Path, start: int, size_bytes: int) -> None:
        headers = {"Range": f"bytes={start}-"} if start else {}
        with (
            self._errors(),
            self._client.stream("GET", f"{self.url}{API_PATH}{where}", headers=headers) as answer,
        ):
            if answer.status_code not in (200, 206):
                self._raise_refusal(answer)
            is_rest = answer.status_code == 206
            size = start if is_rest else 0
            with open(partial, "ab" if is_rest else "wb") as file:
                for chunk in self._chunks(answer):
                    size += len(chunk)
                    if size > size_bytes:
                        break
                    file.write(chunk)
        if size != size_bytes:
            if size > size_bytes:
                partial.unlink()
            raise ServerUnavailable(f"{self.url}{where} ended after {size} of {size_bytes} bytes")

    def _json(self, method: str, where: str, **arguments: Any) -> Any:
        with (
            self._errors(),
            self._client.stream(method, f"{self.url}{API_PATH}{where}", **arguments) as answer,
        ):
            if answer.status_code not in (200, 201):
                self._raise_refusal(answer)
            content = self._content(answer)
        try:
            return json.loads(content)
        except (ValueError, RecursionError):
            raise ServerUnavailable(
                f"{self.url} gave an answer that is not JSON: is it a server of ddpzero?"
            ) from None

    def _content(self, answer: httpx.Response) -> bytes:
        """Return the body of an answer; what is longer than any answer is never in memory as a whole."""
        content = bytearray()
        for chunk in self._chunks(answer):
            content += chunk
            if len(content) > _MAX_ANSWER_BYTES:
                raise ServerUnavailable(
                    f"{self.url} gave an answer of more than {_MAX_ANSWER_BYTES >> 20} MiB"
                )
        return bytes(content)

    def _chunks(self, answer: httpx.Response) -> Iterator[bytes]:
        """Yield the body of an answer, unpacked by nobody: a few kilobytes could become gigabytes."""
        if answer.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise ServerUnavailable(f"{self.url} gave a compressed answer, which nobody asked for")
        yield from answer.iter_raw(_CHUNK_BYTES)

    def _message(self, cls: type[_Result], answer: Any) -> _Result:
        try:
            message: _Result = make_dataclass(cls, answer, cls.__name__)
        except (UserError, TypeError) as error:
            reason = printable(str(error)[:_MAX_SENTENCE]).rstrip(".")
            raise ServerUnavailable(
                f"{self.url} gave an answer that cannot be read: {reason}"
            ) from None
        return message

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn the errors of the network into ServerUnavailable."""
        try:
            yield
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise ServerUnavailable(f"{self.url} cannot be reached ({_reason(error)})") from None

    def _raise_refusal(self, answer: httpx.Response) -> NoReturn:
        try:
            sentence = json.loads(self._content(answer))["error"]
        except (ValueError, KeyError, TypeError, RecursionError):
            sentence = None
        status = answer.status_code
        is_own = isinstance(sentence, str)
        if is_own:
            clause = printable(sentence[:_MAX_SENTENCE]).rstrip(".").removesuffix(_LATER)
            problem = f"{clause} ({self.url})"
        else:
            remedy = "the server has a problem" if status >= 500 else "check the address"
            problem = f"{self.url} answered with status {status} ({remedy})"
        # A proxy that is set up wrongly, or a page of a network to log in, says nothing about the request.
        if not is_own or not 400 <= status < 500 or status in (408, 425, 429):
            raise ServerUnavailable(problem, _retry_after(answer))
        raise ServerRefused(f"{problem}.", status)


def _reason(error: Exception) -> str:
    """Return what is wrong with a connection, as part of a sentence: without the number of the error."""
    words = " ".join(str(error).split())
    reason = re.sub(r"^\[Errno -?\d+\] ", "", printable(words)).rstrip(".")
    return f"{reason[:1].lower()}{reason[1:]}" if reason else type(error).__name__


def partial_path(path: Path) -> Path:
    """Return where a download to `path` is kept while it is under way."""
    return path.with_name(f".{path.name}.part")


def _is_url(text: str) -> bool:
    try:
        httpx.URL(text)
    except (httpx.InvalidURL, UnicodeError):
        return False
    return True


def _retry_after(answer: httpx.Response) -> float | None:
    text = answer.headers.get("Retry-After", "")
    return min(float(text), 3600.0) if text.isascii() and text.isdecimal() else None
