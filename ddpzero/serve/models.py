"""The released models of a collection server: `models/<name>.safetensors` in its folder, and their rows."""

from __future__ import annotations

import re
import time
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

import sqlalchemy as sa

from ddpzero.remote.model_file import ModelFile
from ddpzero.serve.database import models, reading

MODELS_FOLDER = "models"
# Of a file while its content is looked at; see pushes.py.
HALF_PUSHED_PREFIX = ".pushed-"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


class ModelRow(NamedTuple):
    """A row of the table: see database.py."""

    id: int
    name: str
    sha256: str
    size_bytes: int
    weights_version: int
    samples_trained: int
    created_at: float
    num_games: int
    num_samples: int
    is_removed: bool


def is_model_name(name: str) -> bool:
    """Return whether a text from a client may name a model, and so a file."""
    return _NAME.fullmatch(name) is not None


def model_path(folder: Path, name: str) -> Path:
    """Return the file of a model. folder: of the server."""
    return folder / MODELS_FOLDER / f"{name}.safetensors"


def list_models(engine: sa.engine.Engine) -> list[ModelRow]:
    """Return all models, the newest first."""
    with reading(engine) as connection:
        rows = connection.execute(sa.select(models).order_by(models.c.id.desc()))
        return [ModelRow(*row) for row in rows]


def find_model(engine: sa.engine.Engine, name: str) -> ModelRow | None:
    with reading(engine) as connection:
        row = connection.execute(sa.select(models).where(models.c.name == name)).first()
    return None if row is None else ModelRow(*row)


def remove_half_pushed(folder: Path) -> None:
    """Remove files of models that a server has begun to take and did not end with. folder: of the server."""
    for path in (folder / MODELS_FOLDER).glob(f"{HALF_PUSHED_PREFIX}*"):
        path.unlink(missing_ok=True)


def add_model(engine: sa.engine.Engine, model: ModelFile, sha256: str, size_bytes: int) -> None:
    """Add the row of a model whose file is in place."""
    values = {
        "name": model.model,
        "sha256": sha256,
        "size_bytes": size_bytes,
        "weights_version": model.weights_version,
        "samples_trained": model.counters["samples_trained"],
        "created_at": time.time(),
        "is_removed": False,
    }
    with engine.begin() as connection:
        connection.execute(models.insert().values(**values))


def remove_surplus_models(
    engine: sa.engine.Engine, folder: Path, max_models: int, needed: Collection[str]
) -> None:
    """Remove the files of the oldest models but max_models; their games and ratings stay. needed: names that stay."""
    present = [model for model in list_models(engine) if not model.is_removed]
    for model in present[max_models:]:
        if model.name in needed:
            continue
        with engine.begin() as connection:
            connection.execute(
                models.update().where(models.c.id == model.id).values(is_removed=True)
            )
        model_path(folder, model.name).unlink(missing_ok=True)
