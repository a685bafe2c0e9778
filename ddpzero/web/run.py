"""Runs `ddpzero web [RUN...]`."""

from __future__ import annotations

import asyncio
import atexit
import gc
import logging
import secrets
import signal
import socket
import sys
import threading
from collections.abc import Sequence

import uvicorn
from starlette.applications import Starlette

from ddpzero.games import Game, TeamGame
from ddpzero.play.engine import Engine, use_one_thread
from ddpzero.play.strength import warm_up
from ddpzero.system.addresses import is_loopback
from ddpzero.system.errors import UserError
from ddpzero.web.agents import ROLLOUTS, Catalog
from ddpzero.web.messages import MAX_MESSAGE_CHARACTERS
from ddpzero.web.server import Page, make_app

logger = logging.getLogger(__name__)


def run_web(
    texts: Sequence[str],
    game: Game | TeamGame | None,
    host: str,
    port: int,
    max_sessions: int,
    max_simulations: int,
) -> None:
    """Serve the page until Ctrl-C or SIGTERM. Raises UserError.

    texts: runs and checkpoints; none: all runs. game: one more to play. port: 0 for any free one. max_sessions:
    browsers at once. max_simulations: of one position.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).setLevel(logging.WARNING)
    use_one_thread()
    # The interpreter's last collections would search all that torch and numba have made for garbage, for a second.
    atexit.register(gc.freeze)
    listening = _listen(host, port)
    catalog = Catalog(texts, game)
    port = listening.getsockname()[1]
    token = None if is_loopback(host) else secrets.token_urlsafe(18)
    page = Page(catalog, max_sessions, max_simulations)
    server = _server(make_app(page, token, port))
    # uvicorn stops in good order and then sends itself the signal again; one that comes before it listens counts, too.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: setattr(server, "should_exit", True))
    shown = f"[{host}]" if ":" in host else host
    address = f"http://{shown}:{port}/" + (f"?token={token}" if token else "")
    print(f"the page is at {address} (stop with Ctrl-C)", flush=True)
    if token:
        print(
            "whoever knows this address can play; it travels unencrypted unless a proxy with TLS is in front.",
            flush=True,
        )
    threading.Thread(target=_prepare, args=(catalog,), daemon=True).start()
    try:
        asyncio.run(server.serve([listening]))
    finally:
        page.close()


def _server(app: Starlette) -> uvicorn.Server:
    config = uvicorn.Config(
        app,
        ws="websockets-sansio",
        ws_max_size=4 * MAX_MESSAGE_CHARACTERS,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    return uvicorn.Server(config)


def _listen(host: str, port: int) -> socket.socket:
    """Return the socket, so that a port in use is a sentence and the free port of port 0 is known."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(128)
    except OSError as error:
        listening.close()
        raise UserError(
            f"--host {host} --port {port} cannot be used: {error.strerror or error}. Name another port, or 0 for any "
            "free one."
        ) from None
    return listening


def _prepare(catalog: Catalog) -> None:
    """Load and compile what the first game needs, so that the first browser need not wait for it."""
    if not catalog.games:
        return
    offered = next(iter(catalog.games.values()))
    try:
        catalog.exact_tables.read(offered.game)
        agent = offered.agents[0] if offered.agents else None
        key, checkpoint = (agent.key, agent.first_choice().key) if agent else (ROLLOUTS, "")
        player = catalog.player(offered.key, key, checkpoint, 10)
        warm_up(Engine(player, offered.game, 100))
    except Exception:
        # The browser that asks for it hears why.
        logger.debug("the first game cannot be prepared", exc_info=True)
