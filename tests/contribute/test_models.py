"""A contributor's models: the ones that the server names, with the content that it announces, in its own folder."""

from __future__ import annotations

import copy
import hashlib
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from ddpzero.contribute.models import DownloadedModels
from ddpzero.remote.messages import ModelInformation
from ddpzero.remote.model_file import ModelFile, model_file_bytes
from ddpzero.run.checkpoint_files import WEIGHTS_FILE
from ddpzero.system.errors import UserError
from tests.serve.material import material, model_name


class ServerOfModel:
    """Hands out one file, whatever is asked for."""

    url = "http://127.0.0.1"

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.num_downloads = 0

    def download_model(self, model: ModelInformation, path: Path) -> None:
        self.num_downloads += 1
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.content)


def information(content: bytes, number: int = 1) -> ModelInformation:
    sha256 = hashlib.sha256(content).hexdigest()
    return ModelInformation(model_name(number), sha256, len(content), number, number, 0.0)


def fetched(folder: Path, content: bytes) -> tuple[ModelFile, int]:
    """Return what the folder has after the server announced this content, and the number of downloads."""
    server: Any = ServerOfModel(content)
    return DownloadedModels(folder).fetch(server, information(content)), server.num_downloads


def halved() -> ModelFile:
    model = material().model
    weights = {n: v / 2 if v.is_floating_point() else v for n, v in model.weights.items()}
    return replace(model, weights=weights)


def same(a: ModelFile, b: ModelFile) -> bool:
    return all(torch.equal(value, b.weights[name]) for name, value in a.weights.items())


@pytest.mark.parametrize("name", ["{outside}", "../../outside", "t-b1c8-s2-d2", "a\x1b[2Jb"])
def test_a_file_of_another_model_is_refused_and_nothing_is_written_elsewhere(tmp_path, name):
    name = name.format(outside=tmp_path / "outside")
    content = model_file_bytes(replace(material().model, model=name))
    with pytest.raises(UserError, match="sent another model") as caught:
        fetched(tmp_path / "a" / "models", content)
    assert str(caught.value).isprintable()
    assert not list(tmp_path.rglob("*outside*"))


def test_a_kept_file_is_used_only_if_it_has_the_announced_content(tmp_path):
    models = [material().model, halved()]
    # Of all their actors' weights, so that the files have the same size.
    contents = [model_file_bytes(replace(m, actor_weights=m.weights)) for m in models]
    assert len(contents[0]) == len(contents[1]) and contents[0] != contents[1]
    for content, model in zip(contents, models, strict=True):
        found, num_downloads = fetched(tmp_path, content)
        assert num_downloads == 1 and same(found, model)
        found, num_downloads = fetched(tmp_path, content)
        assert num_downloads == 0 and same(found, model)


def test_a_player_has_the_weights_of_its_model_even_if_another_one_had_its_name(tmp_path):
    models = DownloadedModels(tmp_path)
    found = []
    for model in (material().model, halved()):
        path = models.as_player(model)
        assert path == tmp_path / "players" / model_name(1)
        found.append((path / WEIGHTS_FILE).read_bytes())
    assert found[0] != found[1]


def test_a_config_cannot_describe_a_network_that_the_file_does_not_have(tmp_path):
    model = material().model
    config = copy.deepcopy(model.config)
    config["network"] |= {"channels": 4096, "blocks": 20}
    with pytest.raises(UserError, match="describes a network of"):
        fetched(tmp_path, model_file_bytes(replace(model, config=config)))


def announced(size_bytes: int) -> ModelInformation:
    return ModelInformation(model_name(1), "0" * 64, size_bytes, 1, 1, 0.0)


@pytest.mark.parametrize(("size_bytes", "problem"), [(2**33, "the limit"), (2**20, "stay free")])
def test_no_model_fills_the_disk(tmp_path, monkeypatch, size_bytes, problem):
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=2**30))
    server: Any = ServerOfModel(b"")
    with pytest.raises(UserError, match=problem):
        DownloadedModels(tmp_path).fetch(server, announced(size_bytes))
    assert server.num_downloads == 0


def test_parts_of_other_models_are_removed_before_the_next_download(tmp_path):
    own, other = (tmp_path / f".{model_name(n)}.safetensors.part" for n in (1, 2))
    for part in (own, other):
        part.write_bytes(b"?")
    server: Any = ServerOfModel(b"?")
    with pytest.raises(UserError, match="cannot be read"):
        DownloadedModels(tmp_path).fetch(server, announced(100))
    assert own.exists() and not other.exists()
