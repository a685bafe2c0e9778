"""The models that a contributor has downloaded, `models/<name>.safetensors` in its folder."""

from __future__ import annotations

import hashlib
import re
import shutil
from pathlib import Path

import torch
import yaml

from ddpzero.algorithms.loader import load_algorithm
from ddpzero.config.conversion import settings_from_dict
from ddpzero.remote.client import Server, partial_path
from ddpzero.remote.contributed import contributed_config
from ddpzero.remote.messages import ModelInformation
from ddpzero.remote.model_file import ModelFile, read_model_file
from ddpzero.run.checkpoint import weights_to_bytes
from ddpzero.run.models import write_model
from ddpzero.system.errors import require
from ddpzero.system.guarded_files import printable
from ddpzero.system.whole_files import remove

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_KEPT = 4
# The disk keeps so much for everything else.
_MAX_BYTES, _SPARE_BYTES = 4 << 30, 1 << 30


class DownloadedModels:
    """folder: for models. Downloads continue where an earlier one ended. They never fill the disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def fetch(self, server: Server, model: ModelInformation) -> ModelFile:
        """Return a model, from the disk or from the server, with its hash verified.

        Raises as Server does, and UserError if the file is not that model.
        """
        require(
            _NAME.fullmatch(model.name) is not None,
            f"{server.url} names a model {model.name[:80]!r}, which is no name of a model.",
        )
        path = self._folder / _file_name(model.name)
        # Never by the name alone: the server may have another model under a name that was seen before.
        if not (path.exists() and _sha256(path) == model.sha256.lower()):
            self._make_room(server, model)
            server.download_model(model, path)
        content = read_model_file(path)
        require(
            content.model == model.name,
            f"{server.url} sent another model than {model.name}: its file says {printable(content.model[:80])}.",
        )
        _require_its_network(server.url, content)
        self._remove_old()
        return content

    def as_player(self, model: ModelFile) -> Path:
        """Return a folder of a model from `fetch`, from which a player can be made; see run/models.py."""
        assert _NAME.fullmatch(model.model)
        path = self._folder / "players" / model.model
        # Possibly of other weights with the same name.
        remove(path)
        config = yaml.safe_dump(contributed_config(model.config)).encode()
        return write_model(path, weights_to_bytes(model.weights), config, model.counters)

    def _make_room(self, server: Server, model: ModelInformation) -> None:
        """Remove parts of other downloads. Raises UserError if the model does not fit on the disk."""
        require(
            model.size_bytes <= _MAX_BYTES,
            f"{server.url} has a model of {model.size_bytes / 2**30:.3g} GiB, and the limit is {_MAX_BYTES >> 30} GiB.",
        )
        self._folder.mkdir(parents=True, exist_ok=True)
        own = partial_path(self._folder / _file_name(model.name))
        for part in self._folder.glob(partial_path(Path("*")).name):
            if part != own:
                remove(part)
        free_bytes = shutil.disk_usage(self._folder).free
        require(
            model.size_bytes + _SPARE_BYTES <= free_bytes,
            f"the model of {server.url} has {model.size_bytes / 2**20:.0f} MiB, and {self._folder} has "
            f"{free_bytes / 2**20:.0f} MiB left, of which {_SPARE_BYTES >> 20} MiB stay free: free some space, or name "
            "another folder.",
        )

    def _remove_old(self) -> None:
        for pattern in ("*.safetensors", "players/*"):
            paths = sorted(self._folder.glob(pattern), key=lambda path: path.stat().st_mtime_ns)
            for path in paths[:-_KEPT]:
                remove(path)


def _require_its_network(url: str, model: ModelFile) -> None:
    """Raise UserError if the config describes a network much larger than the weights, which could need any memory.

    A smaller one is possible: a run's network can grow.
    """
    algorithm = load_algorithm(settings_from_dict(contributed_config(model.config)))
    # Shapes without memory.
    with torch.device("meta"):
        networks = algorithm.make_networks()
    described = sum(value.numel() for part in networks.values() for value in part.parameters())
    contained = sum(value.numel() for value in model.weights.values())
    require(
        described <= 2 * contained,
        f"{url} has a model, {model.model}, whose config describes a network of {described:,} parameters, and its file "
        f"has {contained:,}.",
    )


def _file_name(model: str) -> str:
    return f"{model}.safetensors"


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
