"""Runs `ddpzero serve FOLDER`."""

from __future__ import annotations

import logging
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

import uvicorn

from ddpzero.remote.client import is_loopback
from ddpzero.remote.messages import Role
from ddpzero.serve.accounts import add_user, remove_user
from ddpzero.serve.app import make_app
from ddpzero.serve.database import open_database
from ddpzero.serve.server import CollectionServer
from ddpzero.serve.settings import ServeSettings, read_settings
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
_MAX_CONNECTIONS = 2000


def run_add_user(folder: Path, name: str, role: Role, overrides: Sequence[str]) -> None:
    """Add a user and print the token, which is not stored."""
    folder.mkdir(parents=True, exist_ok=True)
    engine = open_database(folder, read_settings(folder, overrides).database)
    token = add_user(engine, name, role)
    engine.dispose()
    print(f"{name} is a {role} now. Give them this token; it is shown only once:", file=sys.stderr)
    print(token)


def run_remove_user(folder: Path, name: str, overrides: Sequence[str]) -> None:
    """End the token of a user."""
    engine = open_database(folder, read_settings(folder, overrides).database)
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
        config = uvicorn.Config(
            make_app(CollectionServer(folder, settings, engine)),
            # Pure Python, and strict about what it accepts.
            http="h11",
            ws="none",
            h11_max_incomplete_event_size=_MAX_HEADER_BYTES,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=True,
            forwarded_allow_ips=list(settings.trusted_proxies),
            limit_concurrency=_MAX_CONNECTIONS,
            timeout_keep_alive=_IDLE_SECONDS,
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )
        shown = f"[{host}]" if ":" in host else host
        logger.info("serving %s at http://%s:%d (stop with Ctrl-C or SIGTERM)", folder, shown, port)
        if not is_loopback(settings.host):
            logger.warning(
                "serve.host=%s: tokens travel unencrypted unless a reverse proxy with TLS is in front of this server",
                settings.host,
            )
        server = uvicorn.Server(config)
        # uvicorn stops in good order and then sends itself the signal again.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: None)
        try:
            server.run([listening])
        finally:
            engine.dispose()
        require(server.started, f"the server could not start: see {folder / LOG_FILE}.")
        logger.info("stopped; every acknowledged game is on disk")


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
