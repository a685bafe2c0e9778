"""The application of the page: its files, and one WebSocket for each browser."""

from __future__ import annotations

import asyncio
import logging
import threading
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import Scope
from starlette.websockets import WebSocket, WebSocketDisconnect

from ddpzero.system.errors import UserError
from ddpzero.system.json_text import json_text
from ddpzero.web.access import Access
from ddpzero.web.agents import Catalog
from ddpzero.web.messages import parse_message
from ddpzero.web.outbox import Outbox, PageLags
from ddpzero.web.session import Session
from ddpzero.web.training import describe_offered, describe_training

logger = logging.getLogger(__name__)

STATIC = Path(__file__).parent / "static"
_HEADERS = {
    # The files of another version must not be mixed with these.
    "Cache-Control": "no-cache",
    "Content-Security-Policy": (
        "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
# Of a WebSocket that is closed because there are too many.
_TRY_AGAIN_LATER = 1013
_END_SECONDS = 0.5


class Page:
    """The sessions of all browsers."""

    def __init__(self, catalog: Catalog, max_sessions: int, max_simulations: int) -> None:
        self.catalog = catalog
        self.max_sessions = max_sessions
        self.max_simulations = max_simulations
        self.sessions: set[Session] = set()

    def close(self) -> None:
        """End all sessions."""
        for session in list(self.sessions):
            session.close()
        for session in list(self.sessions):
            session.join(_END_SECONDS)


def make_app(page: Page, token: str | None, port: int) -> Starlette:
    """Return the application. token, port: see Access."""

    async def serve_page(request: Request) -> Response:
        return FileResponse(STATIC / "index.html", headers=_HEADERS)

    def serve_training(request: Request) -> Response:
        """Answer with the training of an agent's run; runs in a thread."""
        try:
            folder = page.catalog.folder_of(request.query_params.get("agent", ""))
        except UserError as error:
            return PlainTextResponse(f"{error}\n", status_code=404)
        text = json_text(describe_training(folder))
        return Response(text, media_type="application/json", headers=_HEADERS)

    def serve_offered(request: Request) -> Response:
        """Answer with what is offered by now: games, runs, and the agents of a game; runs in a thread."""
        try:
            offered = describe_offered(page.catalog, request.query_params.get("game", ""))
        except UserError as error:
            return PlainTextResponse(f"{error}\n", status_code=404)
        return Response(json_text(offered), media_type="application/json", headers=_HEADERS)

    async def serve_session(websocket: WebSocket) -> None:
        await _serve_session(page, websocket)

    return Starlette(
        routes=[
            Route("/", serve_page),
            Route("/training", serve_training),
            Route("/offered", serve_offered),
            WebSocketRoute("/session", serve_session),
            Mount("/static", _Files(directory=STATIC)),
        ],
        middleware=[Middleware(Access, token=token, port=port)],
    )


class _Files(StaticFiles):
    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers.update(_HEADERS)
        return response


async def _serve_session(page: Page, websocket: WebSocket) -> None:
    await websocket.accept()
    if len(page.sessions) >= page.max_sessions:
        text = (
            f"{page.max_sessions} browsers play here already, as many as the server allows "
            "(--max-sessions): close a tab, or try again later."
        )
        await websocket.send_json({"type": "refused", "text": text})
        await websocket.close(_TRY_AGAIN_LATER)
        return
    outbox = Outbox()
    session = Session(page.catalog, outbox.send, page.max_simulations)
    page.sessions.add(session)
    session.start()
    sending = asyncio.create_task(_send_all(outbox, websocket))
    try:
        games = await asyncio.to_thread(page.catalog.describe)
        outbox.send({"type": "welcome", "games": games})
        await _receive_all(session, outbox, websocket)
    finally:
        # First of all: a search for nobody would take the time of the others.
        session.close()
        sending.cancel()
        threading.Thread(target=_forget, args=(page, session), daemon=True).start()


def _forget(page: Page, session: Session) -> None:
    """Count a session, whose memory is in use, until its thread has ended."""
    session.join(60.0)
    page.sessions.discard(session)


async def _receive_all(session: Session, outbox: Outbox, websocket: WebSocket) -> None:
    while True:
        received = await websocket.receive()
        if received["type"] == "websocket.disconnect":
            return
        try:
            session.receive(parse_message(received.get("text") or ""))
        except UserError as error:
            outbox.send({"type": "error", "text": str(error)})


async def _send_all(outbox: Outbox, websocket: WebSocket) -> None:
    try:
        while True:
            await websocket.send_text(await outbox.next())
    except PageLags:
        # It connects again and goes on with the position that it shows.
        await websocket.close(_TRY_AGAIN_LATER)
    except (WebSocketDisconnect, RuntimeError):
        # The page has gone; _receive_all hears of it, too.
        logger.debug("a page has gone")
