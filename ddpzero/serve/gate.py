"""Who may make a request, how often, and with how much: tokens, and limits per user, per address and of all bodies."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.requests import ClientDisconnect, Request

from ddpzero.serve.accounts import User, find_user
from ddpzero.serve.refusals import Refusal

# A user whose token ends can use it for so long.
_KNOWN_SECONDS = 10.0
_MAX_KNOWN = 10_000
_FAILED_LOGINS_PER_MINUTE = 20
_UPLOADS_AT_ONCE_OF_USER = 2
_MESSAGES_AT_ONCE_OF_USER = 8
# The bodies of contributors that are in memory at the same time have the size of so many of the largest uploads.
_UPLOADS_AT_ONCE = 32
_BUSY_SECONDS = 5
# A body may begin late, but then it has to keep pace.
_BODY_SECONDS = 15.0
_BODY_BYTES_PER_SECOND = 32 << 10


class Body:
    """What is in memory of the body of one request, and of all bodies."""

    def __init__(self, gate: Gate, is_counted: bool) -> None:
        self._gate = gate
        self._is_counted = is_counted
        self._num_bytes = 0

    def grow(self, num_bytes: int) -> None:
        """Count bytes that have arrived. Raises Refusal if all bodies together are too long."""
        if not self._is_counted:
            return
        self._num_bytes += num_bytes
        self._gate.body_bytes += num_bytes
        if self._gate.body_bytes > self._gate.max_body_bytes:
            raise Refusal(
                503,
                "the server receives too much at the same time: try again later.",
                _BUSY_SECONDS,
            )

    def end(self) -> None:
        self._gate.body_bytes -= self._num_bytes
        self._num_bytes = 0


class Gate:
    """Checks requests. Used in the server's event loop only.

    max_upload_bytes: of the longest upload. body_bytes: of contributors, in memory; max_body_bytes: at most so many.
    """

    def __init__(
        self,
        engine: sa.engine.Engine,
        requests_per_minute: int,
        address_requests_per_minute: int,
        max_upload_bytes: int,
    ) -> None:
        self._engine = engine
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._of_user = RateLimitItemPerMinute(requests_per_minute)
        self._of_address = RateLimitItemPerMinute(address_requests_per_minute)
        self._of_failures = RateLimitItemPerMinute(_FAILED_LOGINS_PER_MINUTE)
        self._known: dict[str, tuple[User, float]] = {}
        self._bodies: Counter[tuple[int, str]] = Counter()
        self.body_bytes = 0
        self.max_body_bytes = _UPLOADS_AT_ONCE * max_upload_bytes

    def admit_address(self, request: Request) -> None:
        """Raise Refusal if the address of a request has made too many."""
        self._require(self._of_address, "address", _address(request), "requests from this address")

    async def user(self, request: Request) -> User:
        """Return the user who makes a request, which counts once however often this is asked. Raises Refusal."""
        if isinstance(known := getattr(request.state, "user", None), User):
            return known
        self.admit_address(request)
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        user = None
        if scheme.lower() == "bearer" and token.isascii() and len(token) <= 200:
            user = await self._find(token)
        if user is None:
            self._require(self._of_failures, "failures", _address(request), "wrong tokens")
            raise Refusal(
                401, "the token is missing or unknown: ask the server's operator for one."
            )
        self._require(self._of_user, "user", str(user.id), f"requests of {user.name}")
        request.state.user = user
        return user

    @contextmanager
    def upload(self, user: User) -> Iterator[Body]:
        """Bound the uploads that are in memory at the same time. Raises Refusal if the user has too many."""
        with self._body(user, "uploads", _UPLOADS_AT_ONCE_OF_USER) as body:
            yield body

    @contextmanager
    def push(self, user: User) -> Iterator[Body]:
        """Bound the models of a learner, for which contributors leave room. Raises Refusal if there are too many."""
        with self._body(user, "models", _UPLOADS_AT_ONCE_OF_USER, is_counted=False) as body:
            yield body

    @contextmanager
    def message(self, user: User) -> Iterator[Body]:
        """Bound the messages that arrive at the same time. Raises Refusal if the user has too many."""
        with self._body(user, "messages", _MESSAGES_AT_ONCE_OF_USER) as body:
            yield body

    @contextmanager
    def _body(
        self, user: User, kind: str, max_at_once: int, is_counted: bool = True
    ) -> Iterator[Body]:
        key = user.id, kind
        if self._bodies[key] >= max_at_once:
            raise Refusal(
                429,
                f"{user.name} sends too many {kind} at the same time: {max_at_once} are allowed.",
                _BUSY_SECONDS,
            )
        self._bodies[key] += 1
        body = Body(self, is_counted)
        try:
            yield body
        finally:
            body.end()
            self._bodies[key] -= 1
            if not self._bodies[key]:
                del self._bodies[key]

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


async def read_body(request: Request, max_bytes: int, body: Body) -> bytes:
    """Return the body of a request. body: counts what arrives.

    Raises Refusal as soon as it is known to be too long, is too slow, ends early, or finds no room.
    """
    announced = request.headers.get("content-length", "")
    if announced.isascii() and announced.isdecimal() and int(announced[:20]) > max_bytes:
        raise Refusal(413, _too_long(max_bytes))
    began = asyncio.get_running_loop().time()
    content = bytearray()
    try:
        async with asyncio.timeout_at(began + _BODY_SECONDS) as limit:
            async for chunk in request.stream():
                body.grow(len(chunk))
                content += chunk
                if len(content) > max_bytes:
                    raise Refusal(413, _too_long(max_bytes))
                limit.reschedule(began + _BODY_SECONDS + len(content) / _BODY_BYTES_PER_SECOND)
    except TimeoutError:
        raise Refusal(
            408,
            f"the body arrives with less than {_BODY_BYTES_PER_SECOND >> 10} KiB a second.",
            _BUSY_SECONDS,
        ) from None
    except ClientDisconnect:
        # Nobody reads this.
        raise Refusal(400, "the connection ended before the body.") from None
    return bytes(content)


def _too_long(max_bytes: int) -> str:
    return f"the body is longer than {max_bytes / 2**20:.3g} MiB, the most that is allowed."


def _address(request: Request) -> str:
    return request.client.host if request.client else "unknown"
