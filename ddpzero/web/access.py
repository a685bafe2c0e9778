"""Who may use the page: checks the names, the origin and the token of each request, that of a WebSocket included.

Without a token the page answers only under this machine's own names: else a site in a browser here could reach it by a
name of its own that points to this machine (DNS rebinding).
"""

from __future__ import annotations

import secrets
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_OWN_NAMES = {"localhost", "127.0.0.1", "::1"}


class Access:
    """ASGI middleware. token: what each browser must show once, in the address; None for browsers of this machine."""

    def __init__(self, app: ASGIApp, token: str | None, port: int) -> None:
        self._app = app
        self._token = token
        # Browsers send cookies to all ports of a machine.
        self._cookie = f"ddpzero_{port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        refusal, shows_token = self._judge(scope)
        if refusal:
            await _refuse(refusal, scope, receive, send)
            return

        async def send_with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start" and shows_token:
                cookie = f"{self._cookie}={self._token}; Path=/; HttpOnly; SameSite=Strict"
                message["headers"] = [*message.get("headers", []), (b"set-cookie", cookie.encode())]
            await send(message)

        await self._app(scope, receive, send_with_cookie)

    def _judge(self, scope: Scope) -> tuple[str, bool]:
        """Return why a request is refused, or "", and whether it shows the token in its address."""
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if self._token is None and _name_of(host) not in _OWN_NAMES:
            return "this page answers only under the names localhost and 127.0.0.1.", False
        origin = headers.get("origin")
        if origin is not None and _host_of(origin) != host.lower():
            return "this page answers only to itself, not to other sites.", False
        if self._token is None:
            return "", False
        query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
        if self._is_token(query.get("token", [""])[0]):
            return "", True
        if self._is_token(_cookie_of(headers, self._cookie)):
            return "", False
        return "open the address that the server printed: it ends with ?token=...", False

    def _is_token(self, text: str) -> bool:
        assert self._token is not None
        return secrets.compare_digest(text.encode("utf-8", "replace"), self._token.encode())


def _name_of(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _host_of(origin: str) -> str | None:
    """Return the name and port of an origin; None if it is not an address."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return None


def _cookie_of(headers: Headers, name: str) -> str:
    try:
        cookies = SimpleCookie(headers.get("cookie", ""))
    except CookieError:
        return ""
    return cookies[name].value if name in cookies else ""


async def _refuse(text: str, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        # Before the handshake: the answer is 403.
        await receive()
        await send({"type": "websocket.close", "code": 1008})
        return
    await PlainTextResponse(text + "\n", status_code=403)(scope, receive, send)
