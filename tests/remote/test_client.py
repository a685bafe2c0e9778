"""What clients make of answers: only a server's own refusals are final, and no answer is larger than they allow."""

from __future__ import annotations

import gzip
import hashlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ddpzero.remote.client import Server, ServerRefused, ServerUnavailable
from ddpzero.remote.messages import ModelInformation
from ddpzero.system.errors import UserError

RUN = {
    "api_version": 1,
    "ddpzero": "1",
    "run": "t",
    "rules": "",
    "config": {},
    "min_plies": 1,
    "max_plies": 9,
    "max_upload_bytes": 1000,
    "max_upload_games": 10,
}


@contextmanager
def answering(
    content: bytes, status: int = 200, headers: dict[str, str] | None = None, times: int = 1
) -> Iterator[tuple[Server, list[int]]]:
    """Yield a client of a server that answers every request like this, and the chunks that it sent.

    times: how often the content is repeated.
    """
    sent: list[int] = []

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.end_headers()
            try:
                for _ in range(times):
                    self.wfile.write(content)
                    sent.append(len(content))
            except OSError:
                pass

        do_GET = do_PUT = do_POST = answer

        def log_message(self, *_: Any) -> None:
            pass

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listening.serve_forever, args=(0.01,))
    thread.start()
    server = Server(f"http://127.0.0.1:{listening.server_port}", "token")
    try:
        yield server, sent
    finally:
        server.close()
        listening.shutdown()
        thread.join()
        listening.server_close()


def upload(server: Server, folder: Path) -> Any:
    path = folder / "batch.npz"
    path.write_bytes(b"games")
    return server.upload("0" * 32, "m", path)


OWN = json.dumps({"error": "it is not valid.\x1b[2J"}).encode()


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 413, 422])
def test_a_refusal_with_a_sentence_of_the_server_is_final(tmp_path, status):
    with answering(OWN, status) as (server, _), pytest.raises(ServerRefused) as caught:
        upload(server, tmp_path)
    assert caught.value.status == status
    assert str(caught.value) == f"it is not valid.?[2J ({server.url})."


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b'{"detail": "not found"}', 404),
        (b"<html>nginx</html>", 413),
        (b"<html>nginx</html>", 404),
        (b"<html>log in</html>", 403),
        (b'{"error": 3}', 422),
        (b'{"error": {"code": 1}}', 409),
        (b'["error"]', 409),
        (b"[" * 100_000, 401),
        (b"", 302),
        (b"", 204),
        (OWN, 500),
        (OWN, 429),
        (OWN, 302),
        (b'{"ok": true}', 200),
        (b"{}", 200),
        (b"[]", 200),
        (b"<html>log in</html>", 200),
        (b"[" * 100_000, 200),
    ],
)
def test_an_answer_that_is_not_the_servers_is_no_refusal(tmp_path, content, status):
    with answering(content, status) as (server, _), pytest.raises(ServerUnavailable):
        upload(server, tmp_path)


@pytest.mark.parametrize(
    ("content", "status", "problem"),
    [
        (
            b'{"error": "there is no model yet: try again later."}',
            503,
            "there is no model yet (URL)",
        ),
        (b'{"error": "there is too much: wait."}', 429, "there is too much: wait (URL)"),
        (b"<html>nginx</html>", 404, "URL answered with status 404 (check the address)"),
        (b"<html>nginx</html>", 502, "URL answered with status 502 (the server has a problem)"),
    ],
)
def test_a_problem_is_a_clause_that_says_what_to_do(content, status, problem):
    with answering(content, status) as (server, _), pytest.raises(ServerUnavailable) as caught:
        server.run()
    assert str(caught.value) == problem.replace("URL", server.url)


def test_who_does_not_answer_is_named_without_the_number_of_an_error():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = Server(f"http://127.0.0.1:{port}", "token")
    with pytest.raises(ServerUnavailable) as caught:
        server.run()
    server.close()
    assert str(caught.value) == f"{server.url} cannot be reached (connection refused)"


REQUESTS: list[Callable[[Server], object]] = [Server.run, Server.models]


@pytest.mark.parametrize("request_of", REQUESTS)
@pytest.mark.parametrize("status", [200, 404])
def test_an_endless_answer_is_left_after_a_few_mebibytes(request_of, status):
    with answering(b" " * 2**20, status, times=300) as (server, sent):
        with pytest.raises(ServerUnavailable, match="more than 16 MiB"):
            request_of(server)
        assert len(sent) < 100


@pytest.mark.parametrize("status", [200, 404])
def test_nothing_is_unpacked(status):
    content = gzip.compress(json.dumps(RUN).encode())
    with (
        answering(content, status, {"Content-Encoding": "gzip"}) as (server, _),
        pytest.raises(ServerUnavailable, match="compressed"),
    ):
        server.run()


def test_a_download_that_is_packed_or_too_long_leaves_no_more_than_announced(tmp_path):
    content = b"weights" * 1000
    model = ModelInformation("m", hashlib.sha256(content).hexdigest(), len(content), 1, 1, 0.0)
    packed = {"Content-Encoding": "gzip"}
    with (
        answering(gzip.compress(content), headers=packed) as (server, _),
        pytest.raises(ServerUnavailable, match="compressed"),
    ):
        server.download_model(model, tmp_path / "m")
    with answering(content, times=2) as (server, _), pytest.raises(ServerUnavailable):
        server.download_model(model, tmp_path / "m")
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= len(content)
    with answering(content) as (server, _):
        server.download_model(model, tmp_path / "m")
    assert (tmp_path / "m").read_bytes() == content


def test_another_version_ends_the_program_and_something_else_does_not():
    with answering(json.dumps(RUN).encode()) as (server, _):
        assert server.run().run == "t"
    with (
        answering(json.dumps({**RUN, "api_version": 2}).encode()) as (server, _),
        pytest.raises(UserError, match="version 2"),
    ):
        server.run()
    with answering(b'{"status": "ok"}') as (server, _), pytest.raises(ServerUnavailable):
        server.run()
