"""The requests of browsers: the pages, which need no token."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from ddpzero.serve.dependencies import ADMITTED, TheServer

# Nothing on the pages comes from another server, nothing on them runs, and no page of others frames them.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}

router = APIRouter(include_in_schema=False, dependencies=[ADMITTED])


@router.get("/")
async def page_of_run(server: TheServer) -> Response:
    return page(await asyncio.to_thread(server.pages.run))


@router.get("/contributors/{name}")
async def page_of_contributor(name: str, server: TheServer) -> Response:
    return page(await asyncio.to_thread(server.pages.contributor, name))


@router.get("/curve.svg")
async def curve(server: TheServer) -> Response:
    content = await asyncio.to_thread(server.pages.curve)
    return Response(content, media_type="image/svg+xml", headers=_HEADERS)


@router.get("/api/docs")
async def docs(request: Request, server: TheServer) -> Response:
    return page(await asyncio.to_thread(server.pages.api, request.app.openapi()))


def page(html: str, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Answer with a page. headers: besides those of all pages."""
    content = html.encode("utf-8", "replace")
    return HTMLResponse(content, status, headers={**_HEADERS, **(headers or {})})
