"""Batches are sent until the server itself has answered: no other answer costs a game."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ddpzero.contribute.sender import Sender, Sent
from ddpzero.contribute.spool import Batch
from ddpzero.remote import client
from ddpzero.remote.client import ServerRefused, ServerUnavailable
from ddpzero.remote.messages import UploadAnswer
from tests.contribute.test_work import wait_for

COUNTED = UploadAnswer(accepted=1, repeated=0, rejected=0, samples=9)
BATCHES = [Batch(number * 32, "m", 1, Path(f"{number}.npz")) for number in "01"]


class ServerOfAnswers:
    """Gives one answer to each upload, and takes all that follow."""

    def __init__(self, *answers: UploadAnswer | Exception) -> None:
        self.answers = list(answers)
        self.uploads: list[str] = []

    def upload(self, upload_id: str, model: str, path: Path) -> UploadAnswer:
        self.uploads.append(upload_id)
        answer = self.answers.pop(0) if self.answers else COUNTED
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        pass


@pytest.fixture(autouse=True)
def without_waits(monkeypatch):
    monkeypatch.setattr(client, "_FIRST_WAIT_SECONDS", 0.001)


def sent_after(*answers: Exception) -> tuple[list[Sent], list[str]]:
    server: Any = ServerOfAnswers(*answers)
    sent: list[Sent] = []
    with Sender(server) as sender:
        for batch in BATCHES:
            sender.send(batch)
        wait_for(lambda: sent.extend(sender.take_sent()) or len(sent) == len(BATCHES))
        assert sender.waits_for == ""
    return sent, server.uploads


@pytest.mark.parametrize("status", [409, 413, 422])
def test_a_batch_is_set_aside_if_the_server_says_that_it_is_wrong(status):
    sent, uploads = sent_after(ServerRefused("it is wrong", status))
    assert [one.answer for one in sent] == [None, COUNTED]
    assert sent[0].problem == "it is wrong" and len(uploads) == 2


@pytest.mark.parametrize(
    "error",
    [
        ServerUnavailable("something answered with status 404"),
        ServerRefused("there is no such address", 404),
        ServerRefused("this is not allowed", 405),
        FileNotFoundError(2, "No such file"),
        OSError(5, "Input/output error"),
    ],
)
def test_a_batch_is_sent_again_after_everything_else(error):
    sent, uploads = sent_after(error)
    assert [one.answer for one in sent] == [COUNTED, COUNTED]
    assert uploads == [BATCHES[0].id, BATCHES[0].id, BATCHES[1].id]


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_token_ends_the_sending_with_its_sentence(status):
    with pytest.raises(ServerRefused, match="unknown token"):
        sent_after(ServerRefused("unknown token", status))
