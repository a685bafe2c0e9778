"""The application of a collection server: its requests, whose bodies it reads, and how errors are answered."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ddpzero import __version__
from ddpzero.remote.messages import API_PATH
from ddpzero.serve import api_routes, page_routes
from ddpzero.serve.api_page import remove_other_refusals, write_null
from ddpzero.serve.gate import Gate, read_body
from ddpzero.serve.refusals import Refusal
from ddpzero.serve.server import CollectionServer

# Of requests whose body is not a file.
_MAX_JSON_BYTES = 4 << 20
# Characters, on a page.
_MAX_SHOWN_PATH = 64


def make_app(server: CollectionServer) -> FastAPI:
    """Make the application of a server, which opens and closes it."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await server.open()
        try:
            yield
        finally:
            await server.close()

    app = FastAPI(
        title="ddpzero collection server",
        version=__version__,
        description="Games from contributors, and models for them. Every request but statistics needs the header "
        "`Authorization: Bearer TOKEN`. A refusal is a `RefusalAnswer`; after 408, 429 and 5xx, try again later.",
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
        lifespan=lifespan,
    )
    app.state.server = server
    app.include_router(api_routes.router)
    app.include_router(page_routes.router)
    remove_other_refusals(app.openapi())
    write_null(app.openapi())
    app.add_middleware(ReadBodies, gate=server.gate)
    _answer_errors(app)
    return app


class ReadBodies:
    """Reads no body before it is known who sends it, nor too long a one. Files are read where they are used.

    gate: of the server.
    """

    def __init__(self, app: ASGIApp, gate: Gate) -> None:
        self._app = app
        self._gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        has_body = scope["type"] == "http" and scope["method"] not in ("GET", "HEAD", "OPTIONS")
        if not has_body or not scope["path"].startswith(f"{API_PATH}/"):
            # Nothing there reads one.
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        is_file = scope["method"] == "PUT" and scope["path"].startswith(
            (f"{API_PATH}/games/", f"{API_PATH}/models/")
        )
        try:
            user = await self._gate.user(request)
            if not is_file:
                with self._gate.message(user) as body:
                    receive = _followed_by(await read_body(request, _MAX_JSON_BYTES, body), receive)
        except Refusal as refusal:
            await _refused(refusal)(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _followed_by(content: bytes, receive: Receive) -> Receive:
    """Return a function that receives a body that has arrived, and then what follows it."""
    messages: list[Message] = [{"type": "http.request", "body": content, "more_body": False}]

    async def next_message() -> Message:
        return messages.pop() if messages else await receive()

    return next_message


def _answer_errors(app: FastAPI) -> None:
    """Answer every error with a sentence; only a mistake of ours leaves a traceback, in the log."""

    async def refused(request: Request, error: Any) -> Response:
        headers = _retry_after(error)
        return _answer(request, error.status, error.sentence, error.sentence, headers)

    async def invalid(request: Request, error: Any) -> Response:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return _error(422, f"{where}: {str(first['msg'])[:200]}.")

    async def of_http(request: Request, error: Any) -> Response:
        sentence = f"{request.method} {request.url.path[:200]}: {error.detail}."
        missing = f"there is no page {request.url.path[:_MAX_SHOWN_PATH]!r}."
        shown = missing if error.status_code == 404 else sentence
        return _answer(request, error.status_code, sentence, shown)

    async def own_mistake(request: Request, error: Exception) -> Response:
        return _error(500, "the server made a mistake, which is in its log: try again later.")

    handlers: dict[Any, Callable[[Request, Any], Awaitable[Response]]] = {
        Refusal: refused,
        RequestValidationError: invalid,
        HTTPException: of_http,
        Exception: own_mistake,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)


def _answer(
    request: Request,
    status: int,
    sentence: str,
    of_page: str,
    headers: dict[str, str] | None = None,
) -> Response:
    """Answer a program with JSON, and a browser with a page. of_page: the sentence on the page."""
    if request.url.path.startswith("/api/"):
        return _error(status, sentence, headers)
    server: CollectionServer = request.app.state.server
    return page_routes.page(server.pages.refusal(status, of_page), status, headers)


def _refused(refusal: Refusal) -> Response:
    return _error(refusal.status, refusal.sentence, _retry_after(refusal))


def _retry_after(refusal: Refusal) -> dict[str, str]:
    return {"Retry-After": str(refusal.retry_after)} if refusal.retry_after else {}


def _error(status: int, sentence: str, headers: dict[str, str] | None = None) -> Response:
    text = sentence.encode("utf-8", "replace").decode()
    return JSONResponse({"error": text}, status, headers)
