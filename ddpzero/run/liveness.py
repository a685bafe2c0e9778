"""Whether the process of another rank still exists: its kernel knows, even if the process is busy, stopped or starved.

Each rank holds a listening socket that it never reads: the kernel accepts connections to it as long as the process
exists, and refuses them once it has died. Looking needs no thread, no messages and no answer from the other rank.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from types import TracebackType
from typing import NamedTuple

import psutil


class Address(NamedTuple):
    """Where a rank listens: an IP address of its node, and a port."""

    host: str
    port: int


def open_listener(num_ranks: int) -> socket.socket:
    """Return a socket that shows to the other ranks that this process exists, until it is closed.

    num_ranks: how many may look. It listens where gloo does, so that whoever reaches gloo reaches it as well.
    """
    for host in _gloo_hosts():
        listener = _new_socket(host)
        try:
            listener.bind((host, 0))
            listener.listen(num_ranks)
        # A host name may stand for an address that this machine does not have.
        except OSError:
            listener.close()
        else:
            return listener
    raise OSError("no address of this machine takes connections, not even 127.0.0.1")


def address_of(listener: socket.socket) -> Address:
    """Return where a listener listens."""
    return Address(*listener.getsockname()[:2])


class Watch:
    """A connection to the listener of each watched rank, which stays until that rank dies. Close it, or use `with`.

    addresses: of each watched rank.
    """

    def __init__(self, addresses: Mapping[int, Address]) -> None:
        self._gone: set[int] = set()
        self._connections: dict[int, socket.socket] = {}
        for rank, address in addresses.items():
            connection = self._connections[rank] = _new_socket(address.host)
            connection.setblocking(False)
            if _is_refused(connection, address):
                self._gone.add(rank)

    def gone(self) -> set[int]:
        """Return the watched ranks that are known to have died. Never waits.

        A rank whose node cannot be reached is not among them: that proves nothing.
        """
        self._gone |= {rank for rank, link in self._connections.items() if _is_closed(link)}
        return set(self._gone)

    def __enter__(self) -> Watch:
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        stack: TracebackType | None,
    ) -> None:
        for connection in self._connections.values():
            connection.close()


def _gloo_hosts() -> list[str]:
    """Return the addresses at which gloo may listen, the first choice first: as PyTorch chooses them."""
    # The variable may name several interfaces; the first one will do.
    interface = os.environ.get("GLOO_SOCKET_IFNAME", "").split(",")[0]
    if interface:
        entries = psutil.net_if_addrs().get(interface, [])
        families = (socket.AF_INET, socket.AF_INET6)
        return [*(entry.address for entry in entries if entry.family in families), "127.0.0.1"]
    try:
        entries_of_name = socket.getaddrinfo(socket.gethostname(), None, type=socket.SOCK_STREAM)
    except OSError:
        entries_of_name = []
    return [*(str(address[0]) for *_, address in entries_of_name), "127.0.0.1"]


def _new_socket(host: str) -> socket.socket:
    return socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)


def _is_refused(connection: socket.socket, address: Address) -> bool:
    """Begin to connect; return whether that was refused at once."""
    try:
        connection.connect(address)
    except ConnectionError:
        return True
    # Under way, or the network is unreachable.
    except OSError:
        pass
    return False


def _is_closed(connection: socket.socket) -> bool:
    """Return whether the other end refused or closed the connection. It never sends anything."""
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True
    # Still open or under way (BlockingIOError), or the network is unreachable.
    except OSError:
        return False
