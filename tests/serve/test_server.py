"""A collection server's requests: what is counted, what is refused, and what is handed out; with either database."""

from __future__ import annotations

import hashlib
import secrets
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ddpzero.remote.messages import API_PATH
from ddpzero.remote.model_file import model_file_bytes
from ddpzero.run.shard import read_shard
from ddpzero.serve.accounts import User
from ddpzero.serve.game_files import games_path
from ddpzero.serve.games import count_upload
from ddpzero.serve.models import list_models
from ddpzero.serve.validation import Examination
from tests.serve.material import copied, material, model_name, upload_of
from tests.serve.servers import ServerOfTest, serving


def answer_to(server: ServerOfTest, episodes, tmp_path: Path, **arguments):
    content = upload_of(material(), episodes, tmp_path / "upload.npz")
    return server.upload(content, **arguments)


def test_games_are_counted_once_and_lie_in_a_file(server, tmp_path):
    # Games of other tests may wait.
    server.client.portal.call(server.parts.joiner.join_all)
    before = server.statistics()
    episodes = material().play(6, seed=10)
    upload_id = secrets.token_hex(16)
    first = answer_to(server, episodes, tmp_path, upload_id=upload_id)
    samples = sum(episode.num_samples for episode in episodes)
    assert first.status_code == 200, first.text
    assert first.json() == {
        "accepted": 6,
        "repeated": 0,
        "rejected": 0,
        "samples": samples,
        "reasons": [],
        "is_known": False,
    }
    # Sent again under the same id; by the same user under another id; by another user.
    again = answer_to(server, episodes, tmp_path, upload_id=upload_id).json()
    assert again == {**first.json(), "is_known": True}
    for headers in (server.alice, server.bob):
        other = answer_to(server, episodes, tmp_path, headers=headers).json()
        assert (other["accepted"], other["repeated"]) == (0, 6)
    after = server.statistics()
    assert after["num_games"] - before["num_games"] == 6
    assert after["num_samples"] - before["num_samples"] == samples
    assert after["num_repeated"] - before["num_repeated"] == 12

    newest = server.client.get(f"{API_PATH}/files", headers=server.learner).json()["newest"]
    server.client.portal.call(server.parts.joiner.join_waiting)
    files = server.client.get(
        f"{API_PATH}/files", params={"after": newest}, headers=server.learner
    ).json()
    assert [file["num_games"] for file in files["files"]] == [6]
    (file,) = files["files"]
    whole = server.client.get(f"{API_PATH}/files/{file['number']}", headers=server.learner)
    assert hashlib.sha256(whole.content).hexdigest() == file["sha256"]
    path = games_path(server.folder, file["number"])
    assert path.name == f"games_{file['number']:05d}.npz"
    shard = read_shard(path)
    assert [e.info["moves"] for e in shard.episodes] == [e.info["moves"] for e in episodes]
    assert {e.model for e in shard.episodes} == {model_name(1)}
    for name in episodes[0].columns:
        sent = np.concatenate([episode.columns[name] for episode in episodes])
        assert np.array_equal(shard.columns[name], sent), name


def test_a_game_with_slightly_other_numbers_is_the_same_game(server, tmp_path):
    episodes = material().play(6, seed=17)
    assert answer_to(server, episodes, tmp_path).json()["accepted"] == 6
    for episode in episodes:
        columns, info = episode.columns, episode.info
        is_free = columns["root_draw"] != columns["outcome_draw"]
        columns["root_draw"][is_free] = np.nextafter(columns["root_draw"], np.float32(1))[is_free]
        columns["root_value"] = columns["root_value"] + np.float32(0)
        columns["policy_target"] = np.nextafter(columns["policy_target"], np.float16(0.5))
        columns["policy_target"][episode.columns["policy_target"] < 1e-4] = 0
        info["first_player_return"] = int(info["first_player_return"])
    again = answer_to(server, episodes, tmp_path).json()
    assert (again["accepted"], again["repeated"], again["rejected"]) == (0, 6, 0), again


def forged(kind: str):
    """Return two games, the second of which was forged."""
    episodes = copied(material().episodes[:2])
    info, columns = episodes[1].info, episodes[1].columns
    match kind:
        case "illegal move":
            info["moves"][2] = info["moves"][1]
        case "other result":
            info["first_player_return"] = 1.0 - abs(info["first_player_return"])
        case "cut short":
            info["moves"].pop()
            info["num_plies"] -= 1
        case "cut short, as proven":
            info["moves"].pop()
            info["num_plies"] -= 1
            info["score"] = None
            episodes[1].columns = {name: column[:-1] for name, column in columns.items()}
        case "other outcomes":
            columns["outcome"] = -columns["outcome"] + 0.5
        case "policy of an illegal move":
            columns["policy_target"][1] = 0
            columns["policy_target"][1, info["moves"][0]] = 1
        case "policy that is none":
            columns["policy_target"][1] *= 0.5
        case "value out of range":
            columns["root_value"][0] = 1.5
        case "not a number":
            columns["root_value"][0] = np.nan
        case "other position":
            columns["observation"][1] ^= 255
        case "unknown weights":
            columns["weights_version"][:] = 77
        case "unknown fact":
            info["secret"] = "x"
        case "long fact":
            info["actor_index"] = "x" * 100
            info["board"] = "y" * 100_000
    return episodes


@pytest.mark.parametrize(
    "kind, reason",
    [
        ("illegal move", "illegal move 3"),
        ("other result", "by the rules it is"),
        ("cut short", "is not over, but has a score"),
        ("cut short, as proven", "is not over by the rules"),
        ("other outcomes", "outcome is neither its result nor a value"),
        ("policy of an illegal move", "prefers an illegal move"),
        ("policy that is none", "rows whose sum is not"),
        ("value out of range", "holds 1.5"),
        ("not a number", "nan"),
        ("other position", "does not show the position before its move"),
        ("unknown weights", "unknown here or too old"),
        ("unknown fact", "'secret' is not a fact"),
        ("long fact", "is none of the curriculum's"),
    ],
)
def test_a_forged_game_is_quarantined_with_its_reason_and_the_others_count(
    server, tmp_path, kind, reason
):
    fresh = material().play(1, seed=secrets.randbelow(2**31))
    episodes = [fresh[0], forged(kind)[1]]
    answer = answer_to(server, episodes, tmp_path).json()
    assert answer["accepted"] + answer["repeated"] == 1 and answer["rejected"] == 1
    assert len(answer["reasons"]) == 1 and answer["reasons"][0].startswith("game 2 ")
    assert reason in answer["reasons"][0]
    page = server.client.get("/contributors/alice").text
    assert reason.replace("'", "&#39;") in page
    assert any((server.folder / "quarantine").iterdir())


def truncated(content: bytes) -> bytes:
    return content[: len(content) // 2]


def bomb(path: Path) -> bytes:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("sample.x.npy", bytes(100 << 20))
    return path.read_bytes()


def many_members(path: Path) -> bytes:
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(2000):
            archive.writestr(f"{number}.npy", b"")
    return path.read_bytes()


def test_an_upload_that_is_none_is_refused_in_a_sentence(server, tmp_path):
    good = upload_of(material(), material().episodes[:2], tmp_path / "good.npz")
    config = {**material().config, "game": {"name": "go", "size": 9}}
    foreign = upload_of(material(), material().episodes, tmp_path / "x.npz", config)
    too_many = upload_of(material(), material().episodes[:1] * 600, tmp_path / "many.npz")
    for content, sentence in [
        (b"", "it is no .npz file"),
        (b"x" * 1000, "it is no .npz file"),
        (truncated(good), "it is no .npz file"),
        (bomb(tmp_path / "bomb.npz"), "it contains 100.0 MiB"),
        (many_members(tmp_path / "members.npz"), "too many arrays"),
        (good[:-22] + b"PK\x05\x06" + b"\xff" * 18, "too many arrays"),
        (foreign, "other rules than"),
        (too_many, "600 games, and 500 are allowed"),
    ]:
        answer = server.upload(content)
        assert answer.status_code == 422, answer.text
        assert sentence in answer.json()["error"], answer.text
    assert server.upload(bytes(9 << 20)).status_code == 413
    unknown = server.upload(good, model="t-b1c8-s9-d9")
    assert unknown.status_code == 409 and "newest models" in unknown.json()["error"]
    for wrong in ("x", "A" * 32, "../../etc", "0" * 33):
        assert server.upload(good, upload_id=wrong).status_code in (404, 405, 422)


def test_the_first_upload_of_each_user_is_logged(tmp_path, caplog):
    caplog.set_level("INFO", logger="ddpzero.serve.uploads")
    with serving(tmp_path) as server:
        server.push(1)
        episodes = material().play(3, seed=5)
        for headers in (server.alice, server.alice, server.bob):
            assert answer_to(server, episodes, tmp_path, headers=headers).status_code == 200
    end = "0 rejected in the first upload since the start"
    assert [record.getMessage() for record in caplog.records] == [
        f"alice sends games: 3 accepted, 0 repeated, {end}",
        f"bob sends games: 0 accepted, 3 repeated, {end}",
    ]


def test_an_upload_that_is_sent_again_gets_the_same_status(server, tmp_path):
    whole = [b"", upload_of(material(), material().episodes[:1] * 600, tmp_path / "many.npz")]
    of_games = upload_of(material(), [forged("illegal move")[1]], tmp_path / "forged.npz")
    good = upload_of(material(), material().episodes[:1], tmp_path / "good.npz")
    for content, status in [*((each, 422) for each in whole), (of_games, 200), (good, 200)]:
        upload_id = secrets.token_hex(16)
        before = server.statistics()["num_rejected"]
        first = server.upload(content, upload_id=upload_id)
        rejected = server.statistics()["num_rejected"] - before
        again = server.upload(content, upload_id=upload_id)
        assert first.status_code == again.status_code == status, (first.text, again.text)
        if status == 200:
            assert again.json() == {**first.json(), "is_known": True}
        else:
            assert again.json() == first.json()
        # Counted once.
        assert server.statistics()["num_rejected"] - before == rejected == (content != good)


def test_whether_an_upload_is_refused_does_not_depend_on_the_words_of_its_problem(tmp_path):
    with serving(tmp_path) as server:
        assert server.push(1).status_code == 200
        engine = server.parts.collection.engine
        alice, (model,) = User(1, "alice", "contributor"), list_models(engine)
        for examination, status in [
            (Examination("game of other rules."), 422),
            (Examination(rejected=[(0, "is not over by the rules.")]), 200),
        ]:
            upload_id = secrets.token_hex(16)
            count_upload(engine, alice, model, upload_id, b"x", examination)
            answer = server.upload(b"x", upload_id=upload_id)
            assert answer.status_code == status, answer.text


def test_a_request_without_a_valid_token_is_refused(tmp_path):
    with serving(tmp_path) as server:
        for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": "Basic eDp4"}):
            answer = server.client.get(f"{API_PATH}/run", headers=headers)
            assert answer.status_code == 401 and "token" in answer.json()["error"]
        for method, where in [("put", "models/x"), ("get", "files"), ("get", "files/1")]:
            answer = server.client.request(method, f"{API_PATH}/{where}", headers=server.alice)
            assert answer.status_code == 403 and "learner" in answer.json()["error"]
        # After too many wrong tokens, an address has to wait, but not who has a token.
        codes = [
            server.client.get(f"{API_PATH}/run", headers={"Authorization": "Bearer y"}).status_code
            for _ in range(30)
        ]
        assert codes[0] == 401 and codes[-1] == 429
        late = server.client.get(f"{API_PATH}/run", headers={"Authorization": "Bearer z"})
        assert late.status_code == 429 and int(late.headers["Retry-After"]) > 0
        assert server.client.get(f"{API_PATH}/statistics").status_code == 200
        assert server.push(1).status_code == 200
        assert server.client.get(f"{API_PATH}/run", headers=server.alice).status_code == 200


def test_requests_are_limited_per_user_and_per_address(tmp_path):
    with serving(tmp_path, requests_per_minute=3, address_requests_per_minute=8) as server:
        assert server.push(1).status_code == 200
        alice = [server.client.get(f"{API_PATH}/run", headers=server.alice) for _ in range(4)]
        assert [answer.status_code for answer in alice] == [200, 200, 200, 429]
        assert "3 a minute" in alice[-1].json()["error"]
        bob = [server.client.get(f"{API_PATH}/run", headers=server.bob) for _ in range(4)]
        assert [answer.status_code for answer in bob] == [200, 200, 200, 429]
        assert "from this address" in bob[-1].json()["error"]


def test_models_are_handed_out_with_their_hash_and_in_parts(server):
    newest = server.client.get(f"{API_PATH}/run", headers=server.alice).json()["newest"]
    where = f"{API_PATH}/models/{newest['name']}/file"
    whole = server.client.get(where, headers=server.alice).content
    assert len(whole) == newest["size_bytes"]
    assert hashlib.sha256(whole).hexdigest() == newest["sha256"]
    rest = server.client.get(where, headers={**server.alice, "Range": "bytes=100-"})
    assert rest.status_code == 206 and rest.content == whole[100:]
    for name in ("unknown", "..%2F..%2Fserver.db", "%00", "a" * 300):
        path = f"{API_PATH}/models/{name}/file"
        assert server.client.get(path, headers=server.alice).status_code == 404


def test_only_a_model_of_the_run_is_taken(server, tmp_path):
    push = f"{API_PATH}/models/{model_name(1)}"
    again = server.client.put(push, content=material().numbered(1), headers=server.learner)
    assert again.status_code == 200, again.text
    changed = material().numbered(2)
    model = material().model
    foreign = model_file_bytes(replace(model, model=model_name(3), run="another"))
    for content, name, status in [
        (changed, model_name(1), 409),
        (changed, model_name(3), 422),
        (b"nothing", model_name(3), 422),
        (changed[:500], model_name(3), 422),
        (foreign, model_name(3), 409),
        (changed, ".hidden", 422),
    ]:
        answer = server.client.put(
            f"{API_PATH}/models/{name}", content=content, headers=server.learner
        )
        assert answer.status_code == status, answer.text
        assert str(server.folder) not in answer.text
    assert not list((server.folder / "models").glob(".pushed-*"))


def test_games_of_a_model_that_is_too_old_do_not_count(tmp_path):
    with serving(tmp_path, recent_models=2, recent_minutes=0.0) as server:
        for number in (1, 2, 3):
            assert server.push(number).status_code == 200
        of = material()
        for number, status in [(1, 409), (2, 200), (3, 200)]:
            episodes = of.play(2, weights_version=number, seed=number)
            content = upload_of(of, episodes, tmp_path / "x.npz")
            answer = server.upload(content, model=model_name(number))
            assert answer.status_code == status, answer.text
    # A contributor may need some time to play and to send.
    with serving(tmp_path, recent_models=1, recent_minutes=10.0) as server:
        content = upload_of(of, of.play(2, weights_version=1, seed=9), tmp_path / "x.npz")
        assert server.upload(content, model=model_name(1)).status_code == 200


def test_what_was_acknowledged_survives_a_restart(tmp_path):
    folder = tmp_path / "server"
    folder.mkdir()
    of = material()
    content = upload_of(of, of.play(5, seed=3), tmp_path / "x.npz")
    upload_id = secrets.token_hex(16)
    with serving(folder) as server:
        server.push(1)
        assert server.upload(content, upload_id=upload_id).json()["accepted"] == 5
        # A file that a kill left behind, before the database named it.
        games_path(folder, 1).write_bytes(b"half a file")
    with serving(folder) as server:
        assert server.statistics()["num_games"] == 5
        (file,) = server.client.get(f"{API_PATH}/files", headers=server.learner).json()["files"]
        assert file["num_games"] == 5
        assert len(read_shard(games_path(folder, 1)).episodes) == 5
        assert server.upload(content, upload_id=upload_id).json()["is_known"]


def test_rating_matches_are_verified_and_rated(tmp_path):
    from ddpzero.contribute.matches import play_match
    from ddpzero.contribute.models import DownloadedModels
    from ddpzero.contribute.work import WantedMatch
    from ddpzero.remote.messages import ModelInformation, Task
    from ddpzero.remote.model_file import read_model_file
    from ddpzero.serve.models import model_path

    with serving(tmp_path, match_probability=1.0, match_games=4) as server:
        server.push(1)
        nothing = server.client.post(
            f"{API_PATH}/tasks", json={"kinds": ["match"]}, headers=server.alice
        )
        assert nothing.status_code == 503
        server.push(2)
        task = server.client.post(f"{API_PATH}/tasks", json={}, headers=server.alice).json()
        assert task["kind"] == "match" and task["num_games"] == 4
        players = DownloadedModels(tmp_path / "models")
        folders = [
            players.as_player(read_model_file(model_path(server.folder, task[name]["name"])))
            for name in ("model", "opponent")
        ]
        information = [ModelInformation(**task[name]) for name in ("model", "opponent")]
        wanted = Task("match", task["id"], *information, task["num_games"], task["seed"])
        report = play_match(WantedMatch(wanted, *folders), "cpu")
        address = f"{API_PATH}/matches/{task['id']}"
        body = {"task": report.task, "moves": report.moves, "seconds": report.seconds}
        for wrong in (
            {**body, "moves": report.moves[:2]},
            {**body, "moves": [moves[:-1] for moves in report.moves]},
            {**body, "moves": [[0, 0, 0]] * 4},
            {**body, "moves": [[-1]] * 4},
            {**body, "seconds": -1.0},
        ):
            answer = server.client.put(address, json=wrong, headers=server.alice)
            assert answer.status_code == 422, answer.text
        assert server.client.put(address, json=body, headers=server.bob).status_code == 422
        for _ in range(2):
            answer = server.client.put(address, json=body, headers=server.alice)
            assert answer.status_code == 200, answer.text
        found = server.statistics()
        assert found["num_match_games"] == 4
        elo = {model["name"]: model["elo"] for model in found["models"]}
        assert elo[model_name(1)] == 0 and elo[model_name(2)] is not None
        assert server.client.get("/curve.svg").content.startswith(b"<?xml")
        assert "not rated" not in server.client.get("/").text


def test_pages_show_the_run_and_escape_what_they_show(server, tmp_path):
    # Of a user who sent nothing, the page of the run says nothing.
    assert answer_to(server, material().play(1), tmp_path).status_code == 200
    page = server.client.get("/").text
    assert "tic_tac_toe" in page and model_name(1) in page and "/contributors/alice" in page
    assert server.client.get("/contributors/nobody").status_code == 404
    odd = server.client.get("/contributors/%3Cscript%3E")
    assert odd.status_code == 404 and "<script" not in odd.text and "&lt;script" in odd.text
    api = server.client.get("/api/docs").text
    assert f"PUT {API_PATH}/games/" in api and "UploadAnswer" in api
    assert server.client.get("/api/openapi.json").json()["info"]["title"]


def test_models_that_a_kill_left_half_pushed_are_removed(tmp_path):
    with serving(tmp_path) as server:
        assert server.push(1).status_code == 200
    (tmp_path / "models" / ".pushed-abc").write_bytes(b"half a model")
    with serving(tmp_path):
        assert [path.stem for path in (tmp_path / "models").iterdir()] == [model_name(1)]


def test_old_models_make_room(tmp_path):
    with serving(tmp_path, max_models=2) as server:
        for number in (1, 2, 3, 4):
            assert server.push(number).status_code == 200
        # Without ratings the newest one counts as the best.
        files = {path.stem for path in (tmp_path / "models").glob("*.safetensors")}
        assert files == {model_name(3), model_name(4)}
        where = f"{API_PATH}/models/{model_name(1)}/file"
        assert server.client.get(where, headers=server.alice).status_code == 404
        assert len(server.statistics()["models"]) == 4
        assert server.push(1).status_code == 200


def test_a_name_that_no_database_can_hold_is_nobodys(server):
    assert server.client.get("/contributors/a%00b").status_code == 404
