"""The two ends of the socket between a rank and one of its actors.

A message is a fixed header and raw bytes, no pickle. The actor's end blocks while the socket is full. This is the flow
control: an actor whose rank does not read waits, and holds at most the slice that it has just played. The rank's end
never blocks, not even on an actor that stops in the middle of a message.
"""

from __future__ import annotations

import select
import socket
import struct
from collections.abc import Iterable
from contextlib import suppress
from enum import IntEnum
from typing import NamedTuple

_HEAD = struct.Struct("<IIQ")  # kind, round_number, size of the payload
_MAX_PAYLOAD_BYTES = 1 << 30
_READ_BYTES = 1 << 18
# The most that one call of RankConnection.receive reads: an actor that sends without end must not hold up the rank.
_MAX_READ_BYTES_PER_CALL = 1 << 22


class Kind(IntEnum):
    """The kind of a message. COMMAND goes to the process, all others to the rank; the arena's workers send RESULT."""

    EPISODE = 1
    METRICS = 2
    ROUND_DONE = 3
    COMMAND = 4
    RESULT = 5


class Message(NamedTuple):
    """One message. round_number: of the round that it belongs to; 0 outside rounds."""

    kind: Kind
    round_number: int
    payload: bytes = b""


class RankGone(Exception):
    """The rank has closed its end."""


class ActorConnection:
    """The actor's end: blocking. It is passed to the actor when its process starts."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected

    def send(self, messages: Iterable[Message]) -> None:
        """Send messages; returns once the socket has taken all of them. Raises RankGone."""
        try:
            self._socket.sendall(b"".join(_encoded(message) for message in messages))
        except (BrokenPipeError, ConnectionResetError) as error:
            raise RankGone from error

    def receive(self, timeout_seconds: float | None) -> Message | None:
        """Return the next command, or None after timeout_seconds (None: wait forever). Raises RankGone."""
        poller = select.poll()
        poller.register(self._socket, select.POLLIN)
        if not poller.poll(None if timeout_seconds is None else timeout_seconds * 1000):
            return None
        kind, round_number, size = _HEAD.unpack(self._read(_HEAD.size))
        return Message(Kind(kind), round_number, self._read(size))

    def close(self) -> None:
        self._socket.close()

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            try:
                part = self._socket.recv(size - len(data))
            except ConnectionResetError as error:
                raise RankGone from error
            if not part:
                raise RankGone
            data += part
        return data


class RankConnection:
    """The rank's end: non-blocking, with a buffer for a message that has arrived in part."""

    def __init__(self, connected: socket.socket) -> None:
        connected.setblocking(False)
        self._socket = connected
        self._pending = bytearray()

    def fileno(self) -> int:
        return self._socket.fileno()

    def send(self, message: Message) -> None:
        """Write a small command to the socket. An actor that has died is noticed when reading."""
        with suppress(BrokenPipeError, ConnectionResetError):
            self._socket.sendall(_encoded(message))

    def receive(self) -> tuple[list[Message], bool]:
        """Return all complete messages that have arrived, and whether the actor's end is open. Raises ValueError if the
        bytes are no messages.
        """
        is_open = True
        for _ in range(_MAX_READ_BYTES_PER_CALL // _READ_BYTES):
            try:
                part = self._socket.recv(_READ_BYTES)
            except BlockingIOError:
                break
            except ConnectionResetError:
                part = b""
            if not part:
                is_open = False
                break
            self._pending += part
        return self._whole_messages(), is_open

    def close(self) -> None:
        self._socket.close()

    def _whole_messages(self) -> list[Message]:
        messages = []
        start = 0
        with memoryview(self._pending) as pending:
            while len(pending) - start >= _HEAD.size:
                kind, round_number, size = _HEAD.unpack_from(pending, start)
                if size > _MAX_PAYLOAD_BYTES:
                    raise ValueError(f"a message of {size} bytes is above {_MAX_PAYLOAD_BYTES}.")
                end = start + _HEAD.size + size
                if end > len(pending):
                    break
                payload = bytes(pending[start + _HEAD.size : end])
                messages.append(Message(Kind(kind), round_number, payload))
                start = end
        del self._pending[:start]
        return messages


def open_connection(buffer_size_bytes: int) -> tuple[RankConnection, ActorConnection]:
    """Return a connected pair. buffer_size_bytes: what the kernel buffers of an actor's messages."""
    rank_socket, actor_socket = socket.socketpair()
    actor_socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer_size_bytes // 2)  # doubled
    return RankConnection(rank_socket), ActorConnection(actor_socket)


def _encoded(message: Message) -> bytes:
    return _HEAD.pack(message.kind, message.round_number, len(message.payload)) + message.payload
