"""The requests of the API: what contributors and learners ask of a server."""

from __future__ import annotations

import asyncio
import re
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from ddpzero.remote.messages import (
    API_PATH,
    GamesFiles,
    MatchAnswer,
    MatchReport,
    ModelInformation,
    Models,
    RunInformation,
    RunStatistics,
    Task,
    TaskRequest,
    UploadAnswer,
)
from ddpzero.serve.dependencies import ADMITTED, AnyUser, Learner, TheServer
from ddpzero.serve.downloads import answer_with_file
from ddpzero.serve.game_files import files_after, games_path
from ddpzero.serve.gate import read_body
from ddpzero.serve.models import find_model, is_model_name, model_path
from ddpzero.serve.refusals import Refusal, refused_with
from ddpzero.serve.statistics import run_statistics

_ID = re.compile(r"[0-9a-f]{32}")
_MAX_NUMBER = 2**31 - 1
_REST: dict[int | str, dict[str, Any]] = {206: {"description": "The rest of the file."}}

router = APIRouter(prefix=API_PATH)


@router.get("/run", summary="What is collected", responses=refused_with(401, 503))
async def run(user: AnyUser, server: TheServer) -> RunInformation:
    return server.collection.information()


@router.get("/models", summary="All models, the newest first", responses=refused_with(401))
async def models(user: AnyUser, server: TheServer) -> Models:
    collection = server.collection
    return Models([collection.describe(model) for model in collection.models])


@router.get(
    "/models/{name}/file",
    summary="A model's file; Range continues a download",
    response_class=Response,
    responses={**_REST, **refused_with(401, 404, 416)},
)
async def model_file(name: str, request: Request, user: AnyUser, server: TheServer) -> Response:
    collection = server.collection
    missing = f"there is no model {name[:80]!r}."
    is_name = is_model_name(name)
    model = await asyncio.to_thread(find_model, collection.engine, name) if is_name else None
    if model is None or model.is_removed:
        raise Refusal(404, missing)
    return await answer_with_file(request, model_path(collection.folder, model.name), missing)


@router.put(
    "/models/{name}",
    summary="Push a released model (learners)",
    responses=refused_with(401, 403, 408, 409, 413, 422, 503),
)
async def push_model(
    name: str, request: Request, user: Learner, server: TheServer
) -> ModelInformation:
    with server.gate.push(user) as body:
        content = await read_body(request, server.settings.max_model_bytes, body)
        return await server.pushes.take(name, content)


@router.post("/tasks", summary="Ask for work", responses=refused_with(400, 401, 408, 413, 422, 503))
async def task(wanted: TaskRequest, user: AnyUser, server: TheServer) -> Task:
    return await server.tasks.next(user, wanted)


@router.put(
    "/games/{upload_id}",
    summary="Upload games: an .npz of episodes; counted once for each id",
    responses=refused_with(401, 408, 409, 413, 422, 503),
)
async def upload(
    upload_id: str,
    model: Annotated[str, Query(max_length=200)],
    request: Request,
    user: AnyUser,
    server: TheServer,
) -> UploadAnswer:
    if not _ID.fullmatch(upload_id):
        raise Refusal(422, "the id of an upload has 32 hexadecimal digits in lower case.")
    with server.gate.upload(user) as body:
        content = await read_body(request, server.settings.max_upload_bytes, body)
        return await server.uploads.take(user, upload_id, model, content)


@router.put(
    "/matches/{task}",
    summary="Report the games of a rating match",
    responses=refused_with(400, 401, 408, 413, 422, 503),
)
async def report_match(
    task: str, report: MatchReport, user: AnyUser, server: TheServer
) -> MatchAnswer:
    if report.task != task or not _ID.fullmatch(task):
        raise Refusal(422, "the report names another task than its address.")
    await server.tasks.take_report(user, report)
    return MatchAnswer(is_counted=True)


@router.get(
    "/files",
    summary="Files of accepted games (learners)",
    responses=refused_with(401, 403, 422),
)
async def files(
    user: Learner, server: TheServer, after: Annotated[int, Query(ge=0, le=_MAX_NUMBER)] = 0
) -> GamesFiles:
    return await asyncio.to_thread(files_after, server.collection.engine, after)


@router.get(
    "/files/{number}",
    summary="A file of accepted games (learners); Range continues a download",
    response_class=Response,
    responses={**_REST, **refused_with(401, 403, 404, 416, 422)},
)
async def file(number: int, request: Request, user: Learner, server: TheServer) -> Response:
    missing = f"there is no file {number} of games."
    if not 0 < number <= _MAX_NUMBER:
        raise Refusal(404, missing)
    return await answer_with_file(request, games_path(server.collection.folder, number), missing)


@router.get(
    "/statistics",
    summary="Games, samples, contributors and ratings",
    dependencies=[ADMITTED],
    responses=refused_with(),
)
async def statistics(server: TheServer) -> RunStatistics:
    return await asyncio.to_thread(run_statistics, server.collection)
