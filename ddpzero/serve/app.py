"""The requests that a collection server answers: its API, and its pages. collection.py does what they ask for."""

# Without `from __future__ import annotations`: FastAPI reads the annotations of the functions below.
import asyncio
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ddpzero import __version__
from ddpzero.remote.messages import (
    API_PATH,
    GamesFiles,
    MatchReport,
    ModelInformation,
    RunInformation,
    Task,
    TaskRequest,
    UploadAnswer,
)
from ddpzero.serve.accounts import User
from ddpzero.serve.collection import Collection
from ddpzero.serve.games import files_after, games_path
from ddpzero.serve.gate import Gate, read_body
from ddpzero.serve.models import model_path
from ddpzero.serve.pages import Pages
from ddpzero.serve.refusals import Refusal
from ddpzero.serve.statistics import run_statistics

logger = logging.getLogger(__name__)

_ID = re.compile(r"[0-9a-f]{32}")
# Of requests whose body is not a file.
_MAX_JSON_BYTES = 4 << 20
_MAX_NUMBER = 2**31 - 1
# Nothing on the pages comes from another server, and nothing on them runs.
_HEADERS_OF_PAGES = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def make_app(collection: Collection) -> FastAPI:
    """Make the application of a server."""
    settings = collection.settings
    gate = Gate(
        collection.engine, settings.requests_per_minute, settings.address_requests_per_minute
    )
    pages = Pages(collection)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await collection.open()
        try:
            yield
        finally:
            await collection.close()

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
    app.add_middleware(BoundedBody)
    _answer_errors(app)

    async def contributor(request: Request) -> User:
        return await gate.user(request)

    async def learner(request: Request) -> User:
        return await gate.user(request, "learner")

    AnyUser = Annotated[User, Depends(contributor)]
    Learner = Annotated[User, Depends(learner)]

    @app.get(f"{API_PATH}/run", summary="What is collected")
    async def run(user: AnyUser) -> RunInformation:
        return collection.information()

    @app.get(f"{API_PATH}/models", summary="All models, the newest first")
    async def models(user: AnyUser) -> dict[str, list[ModelInformation]]:
        return {"models": [collection.describe(model) for model in collection.models]}

    @app.get(
        f"{API_PATH}/models/{{name}}/file",
        summary="A model's file; Range continues a download",
        response_class=FileResponse,
    )
    async def model_file(name: str, user: AnyUser) -> Response:
        model = await asyncio.to_thread(collection.model, name)
        return FileResponse(model_path(collection.folder, model.name))

    @app.put(f"{API_PATH}/models/{{name}}", summary="Push a released model (learners)")
    async def push_model(name: str, request: Request, user: Learner) -> ModelInformation:
        async with gate.upload_slot(user):
            content = await read_body(request, settings.max_model_bytes)
            return await collection.take_model(name, content)

    @app.post(f"{API_PATH}/tasks", summary="Ask for work")
    async def task(wanted: TaskRequest, user: AnyUser) -> Task:
        return await collection.next_task(user, wanted)

    @app.put(
        f"{API_PATH}/games/{{upload_id}}",
        summary="Upload games: an .npz of episodes; counted once for each id",
    )
    async def upload(
        upload_id: str,
        model: Annotated[str, Query(max_length=200)],
        request: Request,
        user: AnyUser,
    ) -> UploadAnswer:
        if not _ID.fullmatch(upload_id):
            raise Refusal(422, "the id of an upload has 32 hexadecimal digits in lower case.")
        async with gate.upload_slot(user):
            content = await read_body(request, settings.max_upload_bytes)
            return await collection.take_upload(user, upload_id, model, content)

    @app.put(f"{API_PATH}/matches/{{task}}", summary="Report the games of a rating match")
    async def report_match(task: str, report: MatchReport, user: AnyUser) -> dict[str, bool]:
        if report.task != task or not _ID.fullmatch(task):
            raise Refusal(422, "the report names another task than its address.")
        await collection.take_match(user, report)
        return {"is_counted": True}

    @app.get(f"{API_PATH}/files", summary="Files of accepted games (learners)")
    async def files(
        user: Learner, after: Annotated[int, Query(ge=0, le=_MAX_NUMBER)] = 0
    ) -> GamesFiles:
        return await asyncio.to_thread(files_after, collection.engine, after)

    @app.get(
        f"{API_PATH}/files/{{number}}",
        summary="A file of accepted games (learners); Range continues a download",
        response_class=FileResponse,
    )
    async def file(number: int, user: Learner) -> Response:
        path = games_path(collection.folder, number)
        if not 0 < number <= _MAX_NUMBER or not path.exists():
            raise Refusal(404, f"there is no file {number} of games.")
        return FileResponse(path)

    @app.get(f"{API_PATH}/statistics", summary="Games, samples, contributors and ratings")
    async def statistics(request: Request) -> dict[str, Any]:
        gate.admit_address(request)
        return asdict(await asyncio.to_thread(run_statistics, collection))

    @app.get("/", response_class=HTMLResponse, include_in_schema=False)
    async def page_of_run(request: Request) -> Response:
        gate.admit_address(request)
        return _page(await asyncio.to_thread(pages.run))

    @app.get("/contributors/{name}", response_class=HTMLResponse, include_in_schema=False)
    async def page_of_contributor(name: str, request: Request) -> Response:
        gate.admit_address(request)
        return _page(await asyncio.to_thread(pages.contributor, name))

    @app.get("/curve.svg", include_in_schema=False)
    async def curve(request: Request) -> Response:
        gate.admit_address(request)
        content = await asyncio.to_thread(pages.curve)
        return Response(content, media_type="image/svg+xml", headers=_HEADERS_OF_PAGES)

    @app.get("/api/docs", response_class=HTMLResponse, include_in_schema=False)
    async def docs(request: Request) -> Response:
        gate.admit_address(request)
        return _page(await asyncio.to_thread(pages.api, app.openapi()))

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


def _page(html: str) -> Response:
    return HTMLResponse(html, headers=_HEADERS_OF_PAGES)
