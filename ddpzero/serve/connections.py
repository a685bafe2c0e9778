"""Connections of a collection server: how many there may be, and how long they may stand still."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import resource
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

logger = logging.getLogger(__name__)

# Without a whole request, or while a client takes nothing of its answer.
STILL_SECONDS = 30.0
_POLL_SECONDS = 1.0
_MAX_CONNECTIONS = 2000
# The system accepts so many at a time, before any of them is counted.
BACKLOG = 128
_ACCEPT_ERROR = "socket.accept() out of system resource"
_SECONDS_BETWEEN_WARNINGS = 60.0


@dataclass
class _Watched:
    """What a connection did when it was last looked at, and since when (monotonic seconds) it has done just that.

    source: where it comes from; see source_of.
    """

    doing: Any
    since: float
    source: str


class Connections:
    """Makes the protocols of connections for uvicorn. Used in the server's event loop only.

    max_connections: of all clients. max_of_address: of those from one address, unless it is a proxy's. Above either,
    the one of them that has waited longest for a request makes room. proxies: addresses, networks, or "*".
    still_seconds: after which a connection is closed whose request does not end, before its body, or whose client takes
    no answer.
    """

    def __init__(
        self,
        max_connections: int,
        max_of_address: int,
        proxies: Iterable[str] = (),
        still_seconds: float = STILL_SECONDS,
    ) -> None:
        self._max_connections = max_connections
        self._max_of_address = max_of_address
        self._proxies = list(proxies)
        self._still_seconds = still_seconds
        self._watched: dict[H11Protocol, _Watched] = {}

    def make_protocol(self, **arguments: Any) -> asyncio.Protocol:
        """Make the protocol of a new connection. arguments: of H11Protocol."""
        return _Arriving(self, arguments)

    def admit(self, transport: asyncio.Transport, arguments: dict[str, Any]) -> H11Protocol | None:
        """Return the protocol of a connection whose address is known; None if there is no room for it."""
        host = str((transport.get_extra_info("peername") or ("",))[0])
        source = source_of(host)
        is_bounded = not any(_is_of(host, proxy) for proxy in self._proxies)
        if is_bounded and not self._make_room(self._max_of_address, source):
            return None
        if not self._make_room(self._max_connections):
            return None
        protocol = H11Protocol(**arguments)
        protocol.connection_made(transport)
        self._watched[protocol] = _Watched(None, time.monotonic(), source)
        return protocol

    async def watch(self) -> None:
        """Close connections that stand still, until cancelled."""
        while True:
            await asyncio.sleep(min(_POLL_SECONDS, self._still_seconds / 4))
            self._forget_closed()
            now = time.monotonic()
            for protocol, watched in list(self._watched.items()):
                doing = _doing(protocol)
                if doing is not None and doing == watched.doing:
                    if now - watched.since >= self._still_seconds:
                        self._close(protocol)
                else:
                    watched.doing, watched.since = doing, now

    def _make_room(self, most: int, source: str | None = None) -> bool:
        """Return whether there is room for one more connection, if need be by closing one. source: None for all."""
        if len(self._of(source)) >= most:
            self._forget_closed()
        return len(self._of(source)) < most or self._close_oldest(source)

    def _of(self, source: str | None) -> list[H11Protocol]:
        return [
            protocol
            for protocol, watched in self._watched.items()
            if source is None or watched.source == source
        ]

    def _close_oldest(self, source: str | None) -> bool:
        """Close the connection that has waited longest for a request; return whether there is one."""
        waiting = [protocol for protocol in self._of(source) if _waits_for_request(protocol)]
        if waiting:
            self._close(min(waiting, key=lambda protocol: self._watched[protocol].since))
        return bool(waiting)

    def _close(self, protocol: H11Protocol) -> None:
        del self._watched[protocol]
        protocol.transport.abort()

    def _forget_closed(self) -> None:
        for protocol in list(self._watched):
            if protocol.transport.is_closing():
                del self._watched[protocol]


def source_of(host: str) -> str:
    """Return where a connection comes from: its address, of IPv6 the network of /64 that a client has for itself."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if address.version == 4:
        return host
    return str(ipaddress.ip_network((int(address), 64), strict=False))


def raise_file_limit() -> int:
    """Let this process open as many files as it may; return how many connections leave enough files for the rest."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
        except (OSError, ValueError):
            # Some systems allow less than they say.
            pass
    return _MAX_CONNECTIONS if soft == resource.RLIM_INFINITY else min(_MAX_CONNECTIONS, soft // 2)


def backlog(max_connections: int) -> int:
    """Return how many connections the system may accept at a time: few against the files that are left for them."""
    return max(1, min(BACKLOG, max_connections // 4))


class LoopErrors:
    """Handles the errors of an event loop: without free files, a sentence a minute instead of a traceback each."""

    def __init__(self) -> None:
        self._warned_at = -_SECONDS_BETWEEN_WARNINGS

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if context.get("message") != _ACCEPT_ERROR:
            loop.default_exception_handler(context)
            return
        now = time.monotonic()
        if now - self._warned_at >= _SECONDS_BETWEEN_WARNINGS:
            self._warned_at = now
            logger.warning("new connections have to wait: %s", context.get("exception"))


class _Arriving(asyncio.Protocol):
    """A connection before its address is known, and afterwards if there is no room for it."""

    def __init__(self, connections: Connections, arguments: dict[str, Any]) -> None:
        self._connections = connections
        self._arguments = arguments

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        protocol = self._connections.admit(transport, self._arguments)
        if protocol is None:
            transport.abort()
        else:
            transport.set_protocol(protocol)


def _is_of(host: str, names: str) -> bool:
    """Return whether an address is one that this text names: an address, a network, or "*"."""
    if names in ("*", host):
        return True
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(names, strict=False)
    except ValueError:
        return False


def _waits_for_request(protocol: H11Protocol) -> bool:
    return protocol.cycle is None or protocol.cycle.response_complete


def _doing(protocol: H11Protocol) -> Any:
    """Return what a connection does that nobody should do for long, and how far it got with it; None if nothing."""
    # What a client takes of its answer leaves the buffer. The rest waits for it, or for the server.
    unsent = protocol.transport.get_write_buffer_size()
    if unsent or _waits_for_request(protocol):
        return protocol.cycle, unsent, _waits_for_request(protocol)
    return None
