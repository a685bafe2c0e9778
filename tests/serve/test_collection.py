"""What a collection server remembers of its models is what its database has, whatever happens at the same time."""

from __future__ import annotations

import threading

from ddpzero.remote.messages import API_PATH
from ddpzero.serve import collection, uploads
from tests.serve.material import material, upload_of
from tests.serve.servers import ServerOfTest, serving


def remembered(server: ServerOfTest) -> list[int]:
    """Return the games of each model, as the server remembers them."""
    models = server.client.get(f"{API_PATH}/models", headers=server.alice).json()["models"]
    return [model["num_games"] for model in models]


def test_games_that_are_counted_while_the_models_are_read_are_remembered(tmp_path, monkeypatch):
    has_read, may_end, read = threading.Event(), threading.Event(), collection.list_models

    def slow(engine):
        models = read(engine)
        has_read.set()
        assert may_end.wait(60.0)
        return models

    with serving(tmp_path) as server:
        assert server.push(1).status_code == 200
        content = upload_of(material(), material().play(3, seed=1), tmp_path / "x.npz")
        monkeypatch.setattr(collection, "list_models", slow)
        refreshing = server.client.portal.start_task_soon(server.parts.collection.refresh)
        assert has_read.wait(60.0)
        assert server.upload(content).json()["accepted"] == 3
        may_end.set()
        refreshing.result(60.0)
        assert remembered(server) == [3]


def test_games_are_remembered_once_if_the_models_are_read_right_after_they_are_counted(
    tmp_path, monkeypatch
):
    count = uploads.count_upload
    with serving(tmp_path) as server:
        assert server.push(1).status_code == 200

        def counted(*arguments):
            found = count(*arguments)
            server.client.portal.call(server.parts.collection.refresh)
            return found

        monkeypatch.setattr(uploads, "count_upload", counted)
        for seed, total in [(1, 3), (2, 6)]:
            content = upload_of(material(), material().play(3, seed=seed), tmp_path / "x.npz")
            assert server.upload(content).json()["accepted"] == 3
            assert remembered(server) == [total]
