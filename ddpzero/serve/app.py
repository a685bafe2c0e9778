"""The application of a collection server: its requests, how long their bodies may be, and how errors are answered."""

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
from ddpzero.serve.refusals import Refusal
from ddpzero.serve.server import CollectionServer

# Of requests whose body is not a file.
_MAX_JSON_BYTES = 4 << 20


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
        '`Authorization: Bearer TOKEN`. A refusal is `{"error": SENTENCE}`; after 408, 429 and 5xx, try again later.',
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
        lifespan=lifespan,
    )
    app.state.server = server
    app.include_router(api_routes.router)
    app.include_router(page_routes.router)
    app.add_middleware(BoundedBody)
    _answer_errors(app)
    return app


class BoundedBody:
    """Refuses bodies that are too long, except files, which are bounded where they are read."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_file = scope.get("method") == "PUT" and scope["path"].startswith(
            (f"{API_PATH}/games/", f"{API_PATH}/models/")
        )
        if scope["type"] != "http" or is_file:
            await self._app(scope, receive, send)
            return
        size = 0

        async def bounded() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > _MAX_JSON_BYTES:
                raise Refusal(413, f"the body is longer than {_MAX_JSON_BYTES >> 20} MiB.")
            return message

        await self._app(scope, bounded, send)


def _answer_errors(app: FastAPI) -> None:
    """Answer every error with a sentence; only a mistake of ours leaves a traceback, in the log."""

    async def refused(request: Request, error: Any) -> Response:
        headers = {"Retry-After": str(error.retry_after)} if error.retry_after else {}
        return _error(error.status, error.sentence, headers)

    async def invalid(request: Request, error: Any) -> Response:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return _error(422, f"{where}: {str(first['msg'])[:200]}.")

    async def of_http(request: Request, error: Any) -> Response:
        return _error(
            error.status_code, f"{request.method} {request.url.path[:200]}: {error.detail}."
        )

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


def _error(status: int, sentence: str, headers: dict[str, str] | None = None) -> Response:
    text = sentence.encode("utf-8", "replace").decode()
    return JSONResponse({"error": text}, status, headers)
