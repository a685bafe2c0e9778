"""Facts about who may use the page."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from tests.web.pages import make_page


def client_of(run, token=None, host="localhost"):
    _, config = make_page(run, token=token)
    return TestClient(config.app, base_url=f"http://{host}")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8472", "[::1]:8472", "LOCALHOST:1"])
def test_this_machine_may(tic_tac_toe, host):
    client = client_of(tic_tac_toe)
    assert client.get("/", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["games.example.org", "localhost.example.org", "", "[", "10.0.0.1"]
)
def test_another_name_for_this_machine_is_refused(tic_tac_toe, host):
    client = client_of(tic_tac_toe)
    assert client.get("/", headers={"host": host}).status_code == 403
    with (
        pytest.raises(WebSocketDisconnect),
        client.websocket_connect("ws://localhost/session", headers={"host": host}),
    ):
        pass


def test_another_site_is_refused(tic_tac_toe):
    client = client_of(tic_tac_toe)
    for origin in ("http://evil.example", "http://localhost:1", "null"):
        with (
            pytest.raises(WebSocketDisconnect),
            client.websocket_connect("ws://localhost/session", headers={"origin": origin}),
        ):
            pass
    with client.websocket_connect(
        "ws://localhost/session", headers={"origin": "http://localhost"}
    ) as socket:
        assert socket.receive_json()["type"] == "welcome"


def test_elsewhere_the_token_is_needed_also_for_the_session(tic_tac_toe):
    client = client_of(tic_tac_toe, token="secret", host="host.example")
    for path in ("/", "/static/app.js", "/?token=wrong", "/?token=", "/?token=%ff"):
        answer = client.get(path)
        assert answer.status_code == 403 and "token" in answer.text, path
    for path in ("ws://host.example/session", "ws://host.example/session?token=wrong"):
        with pytest.raises(WebSocketDisconnect), client.websocket_connect(path):
            pass
    assert client.get("/?token=secret").status_code == 200
    # From now on a cookie shows it.
    assert client.get("/static/app.js").status_code == 200
    with client.websocket_connect("ws://host.example/session") as socket:
        assert socket.receive_json()["type"] == "welcome"


def test_files_say_that_nothing_else_may_be_loaded(tic_tac_toe):
    answer = client_of(tic_tac_toe).get("/")
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert "script-src" not in answer.headers["content-security-policy"]


def test_no_file_outside_the_folder_is_served(tic_tac_toe):
    client = client_of(tic_tac_toe)
    for path in ("/static/../server.py", "/static/%2e%2e/server.py", "/static/..%2fserver.py"):
        assert client.get(path).status_code == 404


@pytest.mark.parametrize("origin", ["http://[::1", "http://[x]", "["])
def test_an_origin_that_is_no_address_is_refused(tic_tac_toe, origin):
    answer = client_of(tic_tac_toe).get("/", headers={"origin": origin})
    assert answer.status_code == 403
