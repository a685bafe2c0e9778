"""What the API declares in its OpenAPI document is what it answers."""

from __future__ import annotations

import secrets
from typing import Any

import pytest

from ddpzero.games import load_game
from ddpzero.remote.messages import API_PATH
from tests.serve.material import material, model_name, upload_of
from tests.serve.servers import ServerOfTest, serving
from tests.serve.test_at_the_same_time import played_out

ID = "0" * 32
FORMS = {
    "boolean": bool,
    "integer": int,
    "number": (int, float),
    "string": str,
    "object": dict,
    "null": type(None),
}


def fits(value: Any, schema: dict[str, Any], schemas: dict[str, Any]) -> bool:
    """Return whether a value of JSON has every field that a schema declares, of its type, and no other."""
    if "$ref" in schema:
        return fits(value, schemas[schema["$ref"].rpartition("/")[2]], schemas)
    if "anyOf" in schema:
        return any(fits(value, choice, schemas) for choice in schema["anyOf"])
    if schema["type"] == "array":
        return isinstance(value, list) and all(fits(v, schema["items"], schemas) for v in value)
    if "properties" in schema:
        fields = schema["properties"]
        return value.keys() == fields.keys() and all(
            fits(value[name], of_field, schemas) for name, of_field in fields.items()
        )
    return isinstance(value, FORMS[schema["type"]])


def check_declared(server: ServerOfTest, where: str, answer: Any) -> None:
    """Assert that an answer is one of those that the document declares. where: its path in the document."""
    document = server.client.get("/api/openapi.json").json()
    request = document["paths"][f"{API_PATH}{where}"][answer.request.method.lower()]
    assert str(answer.status_code) in request["responses"], (where, answer.status_code)
    content = request["responses"][str(answer.status_code)].get("content")
    if content is not None:
        schema = content["application/json"]["schema"]
        assert "$ref" in schema
        assert fits(answer.json(), schema, document["components"]["schemas"]), answer.text


@pytest.mark.parametrize("user", ["nobody", "alice", "learner"])
@pytest.mark.parametrize(
    "method, where, address, body",
    [
        ("GET", "/run", "/run", None),
        ("GET", "/models", "/models", None),
        ("GET", "/models/{name}/file", f"/models/{model_name(1)}/file", None),
        ("GET", "/models/{name}/file", "/models/x/file", None),
        ("PUT", "/models/{name}", f"/models/{model_name(1)}", b"x"),
        ("PUT", "/models/{name}", f"/models/{model_name(9)}", b"x"),
        ("POST", "/tasks", "/tasks", b"{}"),
        ("POST", "/tasks", "/tasks", b'{"kinds": []}'),
        ("POST", "/tasks", "/tasks", b'{"kinds": 1}'),
        ("POST", "/tasks", "/tasks", b"\xff"),
        ("POST", "/tasks", "/tasks", b" " * (5 << 20)),
        ("PUT", "/games/{upload_id}", f"/games/{ID}", b"x"),
        ("PUT", "/games/{upload_id}", f"/games/{ID}?model=x", b"x"),
        ("PUT", "/games/{upload_id}", f"/games/{ID}?model={model_name(1)}", b"x"),
        ("PUT", "/games/{upload_id}", f"/games/{ID}?model=x", bytes(9 << 20)),
        ("PUT", "/matches/{task}", f"/matches/{ID}", b"{}"),
        ("PUT", "/matches/{task}", f"/matches/{ID}", b"\xff"),
        ("GET", "/files", "/files", None),
        ("GET", "/files", "/files?after=-1", None),
        ("GET", "/files/{number}", "/files/x", None),
        ("GET", "/files/{number}", "/files/77", None),
        ("GET", "/statistics", "/statistics", None),
    ],
)
def test_every_answer_is_declared(server, user, method, where, address, body):
    headers = getattr(server, user, {})
    answer = server.client.request(method, f"{API_PATH}{address}", content=body, headers=headers)
    check_declared(server, where, answer)


def test_the_answers_to_games_and_matches_are_declared(tmp_path):
    with serving(tmp_path, match_probability=1.0, match_games=2) as server:
        # Before the first model.
        where = f"{API_PATH}/run"
        check_declared(server, "/run", server.client.get(where, headers=server.alice))
        check_declared(server, "/games/{upload_id}", server.upload(b""))
        for number in (1, 2):
            check_declared(server, "/models/{name}", server.push(number))
        content = upload_of(material(), material().episodes[:2], tmp_path / "x.npz")
        check_declared(server, "/games/{upload_id}", server.upload(content))
        task = server.client.post(f"{API_PATH}/tasks", json={}, headers=server.alice)
        check_declared(server, "/tasks", task)
        moves = played_out(load_game("tic_tac_toe"), 2, task.json()["seed"])
        report = {"task": task.json()["id"], "moves": moves, "seconds": 1.0}
        where = f"{API_PATH}/matches/{report['task']}"
        counted = server.client.put(where, json=report, headers=server.alice)
        assert counted.json() == {"is_counted": True}
        check_declared(server, "/matches/{task}", counted)
        server.client.portal.call(server.parts.joiner.join_waiting)
        for address in ("/files", "/files/1"):
            found = server.client.get(f"{API_PATH}{address}", headers=server.learner)
            assert found.status_code == 200
            check_declared(server, address.replace("1", "{number}"), found)
        check_declared(server, "/statistics", server.client.get(f"{API_PATH}/statistics"))


@pytest.mark.parametrize("range_", ["bytes=10-", "bytes=99999999-", "bytes=5-2", "rows=1-"])
def test_the_answers_with_a_part_of_a_file_are_declared(server, range_):
    headers = {**server.alice, "Range": range_}
    where = f"{API_PATH}/models/{model_name(1)}/file"
    check_declared(server, "/models/{name}/file", server.client.get(where, headers=headers))


def test_refusals_of_those_who_ask_too_often_are_declared(tmp_path):
    with serving(tmp_path, requests_per_minute=1, address_requests_per_minute=3) as server:
        for headers in (server.alice, server.alice, {}, {}):
            for where in ("/run", "/statistics"):
                answer = server.client.get(f"{API_PATH}{where}", headers=headers)
                check_declared(server, where, answer)
        assert answer.status_code == 429


def test_the_answers_that_were_untyped_are_as_before(server):
    models = server.client.get(f"{API_PATH}/models", headers=server.alice).json()
    assert models.keys() == {"models"} and models["models"][-1]["name"] == model_name(1)
    statistics = server.client.get(f"{API_PATH}/statistics").json()
    assert list(statistics) == [
        *("run", "game", "num_games", "num_samples", "num_repeated", "num_rejected"),
        *("num_match_games", "num_contributors", "num_active", "num_files", "size_bytes"),
        *("models", "contributors"),
    ]
    server.upload(secrets.token_bytes(10))
    sender = server.statistics()["contributors"][0]
    assert list(sender) == [
        *("name", "num_games", "num_samples", "num_repeated", "num_rejected"),
        *("num_match_games", "created_at", "last_seen_at"),
    ]
