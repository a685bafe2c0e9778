"""Who may make a request, and how often: tokens, and limits per user and per address."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import sqlalchemy as sa
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.requests import Request

from ddpzero.serve.accounts import User, find_user
from ddpzero.serve.refusals import Refusal

# A user whose token ends can use it for so long.
_KNOWN_SECONDS = 10.0
_MAX_KNOWN = 10_000
_FAILED_LOGINS_PER_MINUTE = 20
_UPLOADS_AT_ONCE_OF_USER = 2
_UPLOADS_AT_ONCE = 32
_BODY_SECONDS = 300.0


class Gate:
    """Checks requests. Used in the server's event loop only."""

    def __init__(
        self, engine: sa.engine.Engine, requests_per_minute: int, address_requests_per_minute: int
    ) -> None:
        self._engine = engine
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._of_user = RateLimitItemPerMinute(requests_per_minute)
        self._of_address = RateLimitItemPerMinute(address_requests_per_minute)
        self._of_failures = RateLimitItemPerMinute(_FAILED_LOGINS_PER_MINUTE)
        self._known: dict[str, tuple[User, float]] = {}
        self._uploads: Counter[int] = Counter()
        self._slots = asyncio.Semaphore(_UPLOADS_AT_ONCE)

    def admit_address(self, request: Request) -> None:
        """Raise Refusal if the address of a request has made too many."""
        self._require(self._of_address, "address", _address(request), "requests from this address")

    async def user(self, request: Request, role: str | None = None) -> User:
        """Return the user who makes a request. role: that it needs. Raises Refusal."""
        self.admit_address(request)
        address = _address(request)
        if not self._limiter.test(self._of_failures, "failures", address):
            self._refuse(self._of_failures, "failures", address, "wrong tokens")
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        user = None
        if scheme.lower() == "bearer" and token.isascii() and len(token) <= 200:
            user = await self._find(token)
        if user is None:
            self._limiter.hit(self._of_failures, "failures", address)
            raise Refusal(
                401, "the token is missing or unknown: ask the server's operator for one."
            )
        if role is not None and user.role != role:
            raise Refusal(403, f"this needs the token of a {role}, and {user.name} is none.")
        self._require(self._of_user, "user", str(user.id), f"requests of {user.name}")
        return user

    @asynccontextmanager
    async def upload_slot(self, user: User) -> AsyncIterator[None]:
        """Bound the uploads that are in memory at the same time. Raises Refusal if the user has too many."""
        if self._uploads[user.id] >= _UPLOADS_AT_ONCE_OF_USER:
            raise Refusal(429, f"{user.name} has too many uploads at the same time.", 5)
        self._uploads[user.id] += 1
        try:
            async with self._slots:
                yield
        finally:
            self._uploads[user.id] -= 1
            if not self._uploads[user.id]:
                del self._uploads[user.id]

    async def _find(self, token: str) -> User | None:
        now = time.monotonic()
        user, until = self._known.get(token, (None, 0.0))
        if now < until:
            return user
        user = await asyncio.to_thread(find_user, self._engine, token)
        if user is not None:
            if len(self._known) >= _MAX_KNOWN:
                self._known.clear()
            self._known[token] = user, now + _KNOWN_SECONDS
        return user

    def _require(self, limit: RateLimitItemPerMinute, kind: str, who: str, what: str) -> None:
        if not self._limiter.hit(limit, kind, who):
            self._refuse(limit, kind, who, what)

    def _refuse(self, limit: RateLimitItemPerMinute, kind: str, who: str, what: str) -> None:
        window = self._limiter.get_window_stats(limit, kind, who)
        seconds = max(1, round(window.reset_time - time.time()))
        raise Refusal(429, f"too many {what}: {limit.amount} a minute are allowed.", seconds)


async def read_body(request: Request, max_bytes: int) -> bytes:
    """Return the body of a request. Raises Refusal as soon as it is known to be too long, and if it takes too long."""
    announced = request.headers.get("content-length", "")
    if announced.isascii() and announced.isdecimal() and int(announced) > max_bytes:
        raise Refusal(413, _too_long(max_bytes))
    body = bytearray()
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > max_bytes:
                    raise Refusal(413, _too_long(max_bytes))
    except TimeoutError:
        raise Refusal(408, f"the body did not arrive within {_BODY_SECONDS:.0f} seconds.") from None
    return bytes(body)


def _too_long(max_bytes: int) -> str:
    return f"the body is longer than {max_bytes / 2**20:.3g} MiB, the most that is allowed."


def _address(request: Request) -> str:
    return request.client.host if request.client else "unknown"
