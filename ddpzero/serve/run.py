"""Runs `ddpzero serve FOLDER`."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI

from ddpzero.remote.messages import Role
from ddpzero.serve.accounts import add_user, remove_user, role_of
from ddpzero.serve.app import make_app
from ddpzero.serve.connections import Connections, LoopErrors, backlog, raise_file_limit
from ddpzero.serve.database import DATABASE_FILE, open_database
from ddpzero.serve.server import CollectionServer
from ddpzero.serve.settings import ServeSettings, read_settings
from ddpzero.system.addresses import is_loopback
from ddpzero.system.errors import UserError, require
from ddpzero.system.folder_lock import held_folder
from ddpzero.system.log_file import LogFileHandler

logger = logging.getLogger(__name__)

LOG_FILE = "server.log"
# Requests that are being answered when the server is stopped.
_GRACE_SECONDS = 30
_IDLE_SECONDS = 30
# Of all headers of a request together.
_MAX_HEADER_BYTES = 32 << 10


def run_add_user(folder: Path, name: str, role: Role, overrides: Sequence[str]) -> None:
    """Add a user and print the token, which is not stored."""
    folder.mkdir(parents=True, exist_ok=True)
    engine = open_database(folder, read_settings(folder, overrides).database)
    earlier = role_of(engine, name)
    token = add_user(engine, name, role)
    engine.dispose()
    if earlier is None:
        change = f"{name} is a {role} now"
    elif earlier == role:
        change = f"{name} has a new token; the old one is void"
    else:
        change = f"{name} is a {role} now and no {earlier}, with a new token; the old one is void"
    print(f"{change}. Give them this token, which is shown only once:", file=sys.stderr)
    print(token)


def run_remove_user(folder: Path, name: str, overrides: Sequence[str]) -> None:
    """End the token of a user. Raises UserError if there is no such user, or no server's database."""
    database = read_settings(folder, overrides).database
    require(
        database is not None or (folder / DATABASE_FILE).exists(),
        f"--remove-user {name}: {folder} is no collection, because it has no {DATABASE_FILE}; name the folder of the "
        "server.",
    )
    engine = open_database(folder, database)
    remove_user(engine, name)
    engine.dispose()
    print(f"{name} can no longer send games; what they sent stays counted.")


def run_serve(folder: Path, overrides: Sequence[str]) -> None:
    """Serve until SIGTERM or Ctrl-C. Raises UserError."""
    settings = read_settings(folder, overrides)
    folder.mkdir(parents=True, exist_ok=True)
    with held_folder(
        folder, f"{folder} is served already: stop that server, or name another folder."
    ):
        _set_up_log(folder)
        listening = _listen(settings)
        host, port = listening.getsockname()[:2]
        engine = open_database(folder, settings.database)
        app = make_app(CollectionServer(folder, settings, engine))
        shown = f"[{host}]" if ":" in host else host
        logger.info("serving %s at http://%s:%d (stop with Ctrl-C or SIGTERM)", folder, shown, port)
        if not is_loopback(settings.host):
            logger.warning(
                "serve.host=%s: tokens travel unencrypted unless a reverse proxy with TLS is in front of this server",
                settings.host,
            )
        # uvicorn stops in good order and then sends itself the signal again.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: None)
        try:
            has_started = asyncio.run(_serve(app, listening, settings))
        finally:
            engine.dispose()
        require(has_started, f"the server could not start: see {folder / LOG_FILE}.")
        logger.info("stopped; every acknowledged game is on disk")


async def _serve(app: FastAPI, listening: socket.socket, settings: ServeSettings) -> bool:
    """Serve until a signal; return whether the application could start."""
    max_connections = raise_file_limit()
    connections = Connections(
        max_connections, settings.max_address_connections, settings.trusted_proxies
    )
    # Of a class, uvicorn only makes instances, with names of arguments.
    protocol: Any = connections.make_protocol
    config = uvicorn.Config(
        app,
        # h11: pure Python, and strict about what it accepts.
        http=protocol,
        ws="none",
        h11_max_incomplete_event_size=_MAX_HEADER_BYTES,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=True,
        forwarded_allow_ips=list(settings.trusted_proxies),
        backlog=backlog(max_connections),
        timeout_keep_alive=_IDLE_SECONDS,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    server = uvicorn.Server(config)
    asyncio.get_running_loop().set_exception_handler(LoopErrors())
    watching = asyncio.create_task(connections.watch())
    try:
        await server.serve([listening])
    finally:
        watching.cancel()
    return server.started


def _listen(settings: ServeSettings) -> socket.socket:
    """Return the socket, so that a port in use is a sentence and the free port of port=0 is known."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((settings.host, settings.port))
        listening.listen(1024)
    except OSError as error:
        listening.close()
        raise UserError(
            f"serve.host={settings.host} serve.port={settings.port} cannot be used: {error.strerror or error}."
        ) from None
    listening.set_inheritable(True)
    return listening


def _set_up_log(folder: Path) -> None:
    console = logging.StreamHandler(sys.stderr)
    console.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    logging.basicConfig(level=logging.INFO, handlers=[console, LogFileHandler(folder / LOG_FILE)])
    # Its start and stop are said above.
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).setLevel(logging.WARNING)
