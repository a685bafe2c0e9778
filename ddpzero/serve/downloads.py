"""Answers with a file, which may be removed meanwhile: it is opened before the answer begins."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import BinaryIO

from fastapi.responses import Response, StreamingResponse
from starlette.requests import Request

from ddpzero.serve.refusals import Refusal

_CHUNK_BYTES = 256 << 10
# Whoever asks for another part gets the whole file, as HTTP allows.
_REST = re.compile(r"bytes=(\d{1,18})-")


async def answer_with_file(request: Request, path: Path, missing: str) -> Response:
    """Answer with a file, or with its rest for `Range: bytes=FIRST-`.

    missing: the sentence of the refusal if there is no such file. Raises Refusal.
    """
    try:
        file = await asyncio.to_thread(path.open, "rb")
    except FileNotFoundError:
        raise Refusal(404, missing) from None
    size_bytes = os.fstat(file.fileno()).st_size
    rest = _REST.fullmatch(request.headers.get("range", "").strip())
    first = int(rest[1]) if rest else 0
    headers = {"Accept-Ranges": "bytes", "Content-Length": str(size_bytes - first)}
    if rest:
        if first >= size_bytes:
            file.close()
            raise Refusal(416, f"the file has {size_bytes} bytes.")
        headers["Content-Range"] = f"bytes {first}-{size_bytes - 1}/{size_bytes}"
    return StreamingResponse(
        _content(file, first), 206 if rest else 200, headers, "application/octet-stream"
    )


async def _content(file: BinaryIO, first: int) -> AsyncIterator[bytes]:
    with file:
        file.seek(first)
        while chunk := await asyncio.to_thread(file.read, _CHUNK_BYTES):
            yield chunk
