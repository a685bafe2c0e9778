"""Files of models and games that are removed while somebody downloads them."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request

from ddpzero.remote.messages import API_PATH
from ddpzero.serve.downloads import answer_with_file
from ddpzero.serve.game_files import games_path
from ddpzero.serve.models import model_path
from ddpzero.serve.refusals import Refusal
from tests.serve.material import material, model_name, upload_of
from tests.serve.servers import serving


@pytest.mark.parametrize("is_before_answer", [False, True])
def test_a_file_without_its_row_removed_is_refused_and_leaves_no_traceback(
    tmp_path, caplog, monkeypatch, is_before_answer
):
    """As between the look at what there is and the opening of the file."""
    with serving(tmp_path) as server:
        assert server.push(1).status_code == 200
        server.upload(upload_of(material(), material().episodes[:2], tmp_path / "x.npz"))
        server.client.portal.call(server.parts.joiner.join_waiting)
        files = [model_path(tmp_path, model_name(1)), games_path(tmp_path, 1)]
        assert all(path.exists() for path in files)
        if is_before_answer:
            # They are there when that is asked.
            monkeypatch.setattr(Path, "exists", lambda path: True)
        for path in files:
            path.unlink()
        for where in (f"models/{model_name(1)}/file", "files/1"):
            answer = server.client.get(f"{API_PATH}/{where}", headers=server.learner)
            assert answer.status_code == 404, answer.text
            assert answer.json()["error"].startswith("there is no ")
        monkeypatch.undo()
    assert not [record for record in caplog.records if record.exc_info]


async def answered(path: Path, headers: dict[str, str], before_content: Any) -> tuple[int, bytes]:
    """Return the status and the content of an answer. before_content: called when the answer is about to begin."""
    scope: dict[str, Any] = {
        "type": "http",
        "method": "GET",
        "asgi": {"spec_version": "2.3"},
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    messages: list[Any] = []

    async def send(message: Any) -> None:
        messages.append(message)

    async def receive() -> Any:
        await asyncio.Event().wait()

    answer = await answer_with_file(Request(scope), path, "gone.")
    before_content()
    await answer(scope, receive, send)
    start, *bodies = messages
    content = b"".join(body.get("body", b"") for body in bodies)
    assert dict(start["headers"])[b"content-length"] == str(len(content)).encode()
    return start["status"], content


def test_a_file_that_is_removed_while_it_is_sent_is_sent_to_its_end(tmp_path):
    path, content = tmp_path / "file", os.urandom(3_000_000)
    for range_, status, expected in [
        ("", 200, content),
        ("bytes=1000000-", 206, content[1_000_000:]),
        ("bytes=2999999-", 206, content[-1:]),
        ("bytes=5-5", 206, content[5:6]),
        ("bytes=1000000-2999998", 206, content[1_000_000:-1]),
        ("bytes=0-9999999", 206, content),
        ("bytes=-5", 206, content[-5:]),
        # Several parts, or none: all of it.
        ("bytes=0-1,5-6", 200, content),
        ("bytes=6-5", 200, content),
        ("bytes=-", 200, content),
        ("x", 200, content),
    ]:
        path.write_bytes(content)
        found = asyncio.run(answered(path, {"range": range_} if range_ else {}, path.unlink))
        assert found == (status, expected), range_
    with pytest.raises(Refusal, match="gone"):
        asyncio.run(answered(path, {}, lambda: None))
    path.write_bytes(content)
    for range_ in ("bytes=3000000-", "bytes=3000000-3000001", "bytes=-0"):
        with pytest.raises(Refusal, match="has 3000000 bytes") as refused:
            asyncio.run(answered(path, {"range": range_}, lambda: None))
        assert refused.value.status == 416
