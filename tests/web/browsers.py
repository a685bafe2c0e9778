"""Browsers without a screen: the other end of a session's messages."""

from __future__ import annotations

from contextlib import contextmanager


class Browser:
    """The other end of a session."""

    def __init__(self, socket):
        self._socket = socket
        self.games = self.next("welcome")["games"]
        self.state = None

    def send(self, kind, **fields):
        self._socket.send_json({"type": kind, **fields})

    def next(self, *kinds):
        """The next message of one of these types; others are passed over, but states are remembered."""
        while True:
            message = self._socket.receive_json()
            if message["type"] in ("state", "team_state"):
                self.state = message
            if message["type"] in kinds:
                return message

    def until(self, condition):
        """Wait for a state that meets a condition."""
        while self.state is None or not condition(self.state):
            self.next("state", "team_state")
        return self.state

    def begin(self, moves=(), at=None, game=None):
        key = game or self.games[0]["key"]
        at = len(moves) if at is None else at
        self.send("begin", game=key, moves=list(moves), at=at)
        return self.next("state")

    def play(self, action):
        self.send("play", action=action, position=self.state["position"])

    def set(self, **fields):
        """Set these, and return the first state in which they are: others, of messages before, may still come."""
        self.send("set", **fields)
        self.next("state")
        return self.until(lambda state: all(state[name] == fields[name] for name in fields))


@contextmanager
def browser(client):
    with client.websocket_connect("ws://localhost/session") as socket:
        yield Browser(socket)
