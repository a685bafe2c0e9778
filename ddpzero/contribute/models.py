"""The models that a contributor has downloaded, `models/<name>.safetensors` in its folder."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from ddpzero.remote.client import Server
from ddpzero.remote.contributed import contributed_config
from ddpzero.remote.messages import ModelInformation
from ddpzero.remote.model_file import ModelFile, read_model_file
from ddpzero.run.checkpoint import weights_to_bytes
from ddpzero.run.models import write_model
from ddpzero.system.errors import require
from ddpzero.system.whole_files import remove

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_KEPT = 4


class DownloadedModels:
    """folder: for models. Downloads continue where an earlier one ended."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def fetch(self, server: Server, model: ModelInformation) -> ModelFile:
        """Return a model, from the disk or from the server, with its hash verified. Raises as Server does."""
        require(
            _NAME.fullmatch(model.name) is not None,
            f"{server.url} names a model {model.name[:80]!r}, which is no name of a model.",
        )
        path = self._folder / f"{model.name}.safetensors"
        if not (path.exists() and path.stat().st_size == model.size_bytes):
            server.download_model(model, path)
        content = read_model_file(path)
        self._remove_old()
        return content

    def as_player(self, model: ModelFile) -> Path:
        """Return a folder of a model from which a player can be made; see run/models.py."""
        path = self._folder / "players" / model.model
        config = yaml.safe_dump(contributed_config(model.config)).encode()
        return write_model(path, weights_to_bytes(model.weights), config, model.counters)

    def _remove_old(self) -> None:
        for pattern in ("*.safetensors", "players/*"):
            paths = sorted(self._folder.glob(pattern), key=lambda path: path.stat().st_mtime_ns)
            for path in paths[:-_KEPT]:
                remove(path)
