"""Refusals of requests: a status of HTTP and a sentence for the client."""

from __future__ import annotations


class Refusal(Exception):
    """A request is refused. retry_after: seconds after which it may succeed; None if it never will."""

    def __init__(self, status: int, sentence: str, retry_after: int | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence
        self.retry_after = retry_after
