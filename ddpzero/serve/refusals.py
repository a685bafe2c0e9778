"""Refusals of requests: a status of HTTP and a sentence for the client."""

from __future__ import annotations

from typing import Any

from ddpzero.remote.messages import RefusalAnswer

# What it means that a request of the API is refused with a status: the request ...
MEANINGS = {
    400: "has a body that is no text",
    401: "has no token, or an unknown one",
    403: "needs the token of a learner",
    404: "names something that is not there, or no longer",
    408: "has a body that arrives too slowly",
    409: "is about a model that is too old, of another run, or another one of the same name",
    413: "has a body that is too long",
    416: "asks for the rest of a file that is not longer than that",
    422: "has a part that is wrong; of an upload, no game counts",
    429: "is one of too many; the header Retry-After says after how many seconds to try again",
    500: "met a mistake of the server's",
    503: "comes before there is a model or work, or while the server cannot validate; Retry-After as for 429",
}


class Refusal(Exception):
    """A request is refused. retry_after: seconds after which it may succeed; None if it never will."""

    def __init__(self, status: int, sentence: str, retry_after: int | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence
        self.retry_after = retry_after


def refused_with(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe the refusals of a request for its function in FastAPI. Every request may be refused with 429 and 500."""
    return {
        status: {"model": RefusalAnswer, "description": f"The request {MEANINGS[status]}."}
        for status in sorted({*statuses, 429, 500})
    }
