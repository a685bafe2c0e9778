"""Connections to a server of its own process, and to one that lets them stand still for a short time only."""

from __future__ import annotations

import asyncio
import os
import re
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn

from ddpzero.remote.messages import API_PATH
from ddpzero.serve.accounts import add_user
from ddpzero.serve.connections import Connections, LoopErrors, source_of
from ddpzero.serve.database import open_database

SECONDS = 60.0


@contextmanager
def served(folder: Path, max_files: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """Serve in a process of its own; yield its id and its port. max_files: its soft and its hard limit."""
    words = [sys.executable, "-m", "ddpzero.cli", "serve", str(folder), "serve.port=0"]
    process = subprocess.Popen(
        words,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, max_files),
    )
    try:
        log = folder / "server.log"
        until = time.monotonic() + SECONDS
        while True:
            found = re.search(r"http://127.0.0.1:(\d+)", log.read_text()) if log.exists() else None
            if found is not None:
                break
            assert process.poll() is None and time.monotonic() < until
            time.sleep(0.1)
        yield process.pid, int(found[1])
    finally:
        process.terminate()
        process.wait(SECONDS)


def connected(port: int, stack: ExitStack, words: bytes = b"GET / HT") -> socket.socket:
    connection = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=SECONDS))
    connection.sendall(words)
    return connection


def test_requests_that_never_end_keep_nobody_out_and_fill_no_log(tmp_path):
    with served(tmp_path, (64, 160)) as (pid, port), ExitStack() as stack:
        url = f"http://127.0.0.1:{port}{API_PATH}/statistics"
        assert httpx2.get(url, timeout=SECONDS).status_code == 200
        assert resource.prlimit(pid, resource.RLIMIT_NOFILE) == (160, 160)
        for _ in range(400):
            connected(port, stack)
        for _ in range(3):
            assert httpx2.get(url, timeout=SECONDS).status_code == 200
        assert len(os.listdir(f"/proc/{pid}/fd")) < 160
        assert "Traceback" not in (tmp_path / "server.log").read_text()


@pytest.fixture(scope="module")
def listening(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, int]]:
    """A server without models, in a process of its own: its folder and its port."""
    folder = tmp_path_factory.mktemp("listening")
    with served(folder, (1024, 1024)) as (_, port):
        yield folder, port


def head(method: str, where: str, token: str = "x", length: int = 100_000) -> bytes:
    """Return a request without its body."""
    return (
        f"{method} {API_PATH}/{where} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    ).encode()


def new_user(folder: Path, name: str) -> str:
    """Add a contributor; return the token."""
    engine = open_database(folder, None)
    token = add_user(engine, name)
    engine.dispose()
    return token


UPLOAD = f"games/{'0' * 32}?model=m"


@pytest.mark.parametrize(
    "method, where", [("POST", "tasks"), ("PUT", f"matches/{'0' * 32}"), ("PUT", UPLOAD)]
)
def test_who_has_no_token_is_refused_before_the_body_arrives(listening, method, where):
    with ExitStack() as stack:
        connection = connected(listening[1], stack, head(method, where) + b"{")
        assert connection.recv(1000).startswith(b"HTTP/1.1 401")


def test_a_client_that_leaves_amid_a_body_leaves_no_traceback(listening):
    folder, port = listening
    token = new_user(folder, "leaver")
    for method, where in [("POST", "tasks"), ("PUT", f"matches/{'0' * 32}"), ("PUT", UPLOAD)]:
        with ExitStack() as stack:
            connected(port, stack, head(method, where, token) + b"x" * 500)
            time.sleep(0.3)
    time.sleep(0.5)
    assert "Traceback" not in (folder / "server.log").read_text()


def test_many_slow_uploads_keep_nobody_out(listening):
    folder, port = listening
    with ExitStack() as stack:
        for number in range(20):
            token = new_user(folder, f"slow-{number}")
            for _ in range(2):
                connected(port, stack, head("PUT", UPLOAD, token) + b"x" * 500)
        time.sleep(0.5)
        answer = httpx2.put(
            f"http://127.0.0.1:{port}{API_PATH}/{UPLOAD}",
            content=b"x" * 1000,
            headers={"Authorization": f"Bearer {new_user(folder, 'honest')}"},
            timeout=10.0,
        )
        assert answer.status_code == 503 and "no learner" in answer.text


async def answer_much(scope: Any, receive: Any, send: Any) -> None:
    """Answer with more than the system keeps for a client that does not read, at a path; otherwise slowly."""
    if scope["path"] == "/slow":
        await asyncio.sleep(1.5)
    size = 64 << 20 if scope["path"] == "/much" else 2
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": bytes(size)})


def in_a_server(connections: Connections, act: Callable[[int], Any]) -> Any:
    """Serve answer_much with these connections while a function is called in a thread. act: is given the port."""

    async def run() -> Any:
        listening = socket.create_server(("127.0.0.1", 0))
        protocol: Any = connections.make_protocol
        config = uvicorn.Config(
            answer_much, http=protocol, lifespan="off", log_config=None, timeout_keep_alive=60
        )
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve([listening]))
        watching = asyncio.create_task(connections.watch())
        try:
            return await asyncio.to_thread(act, listening.getsockname()[1])
        finally:
            server.should_exit = server.force_exit = True
            await serving
            watching.cancel()

    return asyncio.run(run())


def test_a_connection_is_closed_whose_request_does_not_end_or_whose_client_takes_no_answer():
    request = b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n"

    def act(port: int) -> None:
        with ExitStack() as stack:
            dribbling = connected(port, stack, b"GET / HTTP/1.1\r\nA: ")
            after_a_request = connected(port, stack, request % b"/")
            unread = connected(port, stack, request % b"/much")
            until = time.monotonic() + 2.0
            open_ones = {dribbling, after_a_request}
            while open_ones and time.monotonic() < until + SECONDS:
                for connection in list(open_ones):
                    try:
                        connection.sendall(b"G")
                    except OSError:
                        open_ones.remove(connection)
                time.sleep(0.1)
            assert not open_ones
            time.sleep(2.0)
            received = 0
            try:
                while part := unread.recv(1 << 20):
                    received += len(part)
            except ConnectionResetError:
                pass
            assert received < 64 << 20
            # Whoever waits for a server that needs longer is answered.
            slow = connected(port, stack, request % b"/slow")
            assert slow.recv(100).startswith(b"HTTP/1.1 200")

    in_a_server(Connections(100, 100, still_seconds=0.5), act)


REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def connected_from(address: str, port: int, stack: ExitStack) -> socket.socket:
    """Connect from an address of this machine and make a request, whose answer is read."""
    connection = socket.create_connection(("127.0.0.1", port), SECONDS, (address, 0))
    stack.enter_context(connection)
    connection.sendall(REQUEST)
    assert is_answered(connection)
    return connection


def is_answered(connection: socket.socket) -> bool:
    """Read an answer of answer_much to its end; return whether there was one."""
    answer = b""
    try:
        while not answer.endswith(b"0\r\n\r\n"):
            part = connection.recv(1000)
            if not part:
                return False
            answer += part
    except ConnectionResetError:
        return False
    return answer.startswith(b"HTTP/1.1 200")


def is_open(connection: socket.socket) -> bool:
    try:
        connection.sendall(REQUEST)
        return is_answered(connection)
    except OSError:
        return False


@pytest.mark.parametrize("proxies", [(), ("127.0.0.9", "10.0.0.0/8"), ("127.0.0.1",)])
def test_the_connections_of_an_address_make_room_for_each_other_only(proxies):
    def act(port: int) -> None:
        with ExitStack() as stack:
            other = connected_from("127.0.0.2", port, stack)
            of_one = [connected_from("127.0.0.1", port, stack) for _ in range(8)]
            is_bounded = "127.0.0.1" not in proxies
            assert is_open(other)
            assert [is_open(connection) for connection in of_one] == [not is_bounded] * 5 + [
                True
            ] * 3

    in_a_server(Connections(100, 3, proxies), act)


@pytest.mark.parametrize("proxies", ["*", "127.0.0.0/8"])
def test_proxies_may_be_named_by_a_network(proxies):
    def act(port: int) -> None:
        with ExitStack() as stack:
            found = [connected_from("127.0.0.1", port, stack) for _ in range(8)]
            assert all(is_open(connection) for connection in found)

    in_a_server(Connections(100, 3, [proxies]), act)


def test_an_address_whose_connections_are_all_busy_gets_no_further_one():
    def act(port: int) -> None:
        slow = b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n"
        with ExitStack() as stack:
            busy = [connected(port, stack, slow) for _ in range(2)]
            time.sleep(0.3)
            assert not is_answered(connected(port, stack, REQUEST))
            connected_from("127.0.0.2", port, stack)
            assert all(is_answered(connection) for connection in busy)

    in_a_server(Connections(100, 2), act)


def test_clients_of_ipv6_are_told_apart_by_their_network():
    assert source_of("2001:db8::1") == source_of("2001:db8::ffff:1") != source_of("2001:db8:0:1::1")
    assert source_of("127.0.0.1") == "127.0.0.1" and source_of("unknown") == "unknown"


def test_a_loop_without_free_files_says_so_once(caplog):
    loop, handle = asyncio.new_event_loop(), LoopErrors()
    error = OSError(24, "Too many open files")
    for _ in range(100):
        handle(loop, {"message": "socket.accept() out of system resource", "exception": error})
    loop.close()
    assert len(caplog.records) == 1 and caplog.records[0].exc_info is None
