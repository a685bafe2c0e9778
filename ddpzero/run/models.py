"""The models of a run, `runs/<run_name>/models/<model>/`: weights and config of checkpoints, kept longer than these.

A model's folder has the format of a checkpoint without ranks, so all code that loads weights also loads models. Its
files are hard links to those of the checkpoint if the file system has links: they need no space while the checkpoint
exists. Called by rank 0; light to import.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from ddpzero.run.checkpoint_files import (
    CONFIG_FILE,
    PARTIAL_PREFIX,
    WEIGHTS_FILE,
    CheckpointError,
    Manifest,
    new_manifest,
    newest_first,
    read_manifest,
    sync_folder,
    write_bytes,
    write_manifest,
)
from ddpzero.system.whole_files import remove

MODELS_FOLDER = "models"
_FILES = (WEIGHTS_FILE, CONFIG_FILE)


def keep_model(run_dir: Path, checkpoint: Path) -> Path:
    """Keep a checkpoint's weights and config; return the model's folder. Does nothing if the model is there.

    Raises OSError or CheckpointError.
    """
    return copy_model(checkpoint, run_dir / MODELS_FOLDER / checkpoint.name)


def copy_model(checkpoint: Path, path: Path) -> Path:
    """Copy weights and config of a checkpoint or model, of any run, to the folder `path`; else as keep_model."""
    manifest = read_manifest(checkpoint)

    def link(folder: Path) -> Manifest:
        for name in _FILES:
            _link(checkpoint / name, folder / name)
        files = {name: manifest.files[name] for name in _FILES}
        return replace(manifest, world_size=0, files=files)

    return _add(path, link)


def save_model(
    run_dir: Path, model: str, weights: bytes, config: bytes, counters: Mapping[str, Any]
) -> Path:
    """Save a model of a run without a checkpoint; see write_model."""
    return write_model(run_dir / MODELS_FOLDER / model, weights, config, counters)


def write_model(
    path: Path, weights: bytes, config: bytes, counters: Mapping[str, Any], grown_from: str = ""
) -> Path:
    """Write a model to the folder `path`, which names it; return it. Does nothing if it is there. Raises OSError.

    weights, config: the content of the files. grown_from: see Manifest.
    """

    def write(folder: Path) -> Manifest:
        contents = {WEIGHTS_FILE: weights, CONFIG_FILE: config}
        files = {name: write_bytes(folder / name, data) for name, data in contents.items()}
        return replace(new_manifest(path.name, counters, 0, files), grown_from=grown_from)

    return _add(path, write)


def _add(path: Path, fill: Callable[[Path], Manifest]) -> Path:
    """Add a model that `fill` writes to a folder. A kill at any moment leaves no part of a model."""
    folder = path.parent
    if path.is_dir():
        return path
    partial = folder / f"{PARTIAL_PREFIX}{path.name}"
    remove(partial)
    partial.mkdir(parents=True)
    write_manifest(partial, fill(partial))
    sync_folder(partial)
    partial.rename(path)
    sync_folder(folder)
    return path


def read_models(run_dir: Path) -> list[Manifest]:
    """Return the manifests of a run's models, oldest first; skips damaged ones."""
    manifests = []
    for path in newest_first(run_dir / MODELS_FOLDER):
        with suppress(CheckpointError):
            manifests.append(read_manifest(path))
    return manifests[::-1]


def remove_model(run_dir: Path, model: str) -> None:
    """Remove a model; an interrupted removal leaves nothing that looks like one."""
    path = run_dir / MODELS_FOLDER / model
    shutil.rmtree(path.rename(path.with_name(f"{PARTIAL_PREFIX}removed-{model}")))


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    # A file system without hard links.
    except OSError:
        shutil.copyfile(source, target)
