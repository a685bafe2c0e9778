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
# Whoever asks for several parts gets the whole file, as HTTP allows.
_PART = re.compile(r"bytes=(?:(\d{1,18})-(\d{1,18})?|-(\d{1,18}))")


async def answer_with_file(request: Request, path: Path, missing: str) -> Response:
    """Answer with a file, or with a part of it: `Range: bytes=FIRST-`, `bytes=FIRST-LAST` or `bytes=-LENGTH`.

    missing: the sentence of the refusal if there is no such file. Raises Refusal.
    """
    try:
        file = await asyncio.to_thread(path.open, "rb")
    except FileNotFoundError:
        raise Refusal(404, missing) from None
    size_bytes = os.fstat(file.fileno()).st_size
    part = _part(request.headers.get("range", ""), size_bytes)
    if part is not None and not part:
        file.close()
        raise Refusal(416, f"the file has {size_bytes} bytes.")
    sent = range(size_bytes) if part is None else part
    headers = {"Accept-Ranges": "bytes", "Content-Length": str(len(sent))}
    if part is not None:
        headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{size_bytes}"
    status = 200 if part is None else 206
    return StreamingResponse(_content(file, sent), status, headers, "application/octet-stream")


def _part(wanted: str, size_bytes: int) -> range | None:
    """Return the bytes that a header Range asks for, none if the file has none of them; None for the whole file."""
    found = _PART.fullmatch(wanted.strip())
    if found is None:
        return None
    first, last, length = found.groups()
    if length is not None:
        return range(max(0, size_bytes - int(length)), size_bytes)
    if last is not None and int(last) < int(first):
        # Such a header counts as none.
        return None
    end = size_bytes if last is None else min(size_bytes, int(last) + 1)
    return range(int(first), end)


async def _content(file: BinaryIO, sent: range) -> AsyncIterator[bytes]:
    with file:
        file.seek(sent.start)
        num_left = len(sent)
        while chunk := await asyncio.to_thread(file.read, min(_CHUNK_BYTES, num_left)):
            num_left -= len(chunk)
            yield chunk
