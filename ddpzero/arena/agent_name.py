"""The name of a trained agent before it is loaded; light to import."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from ddpzero.run.checkpoint_files import (
    CHECKPOINTS_FOLDER,
    MANIFEST_FILE,
    CheckpointError,
    newest_first,
    read_manifest,
)
from ddpzero.run.finder import find_run


def name_of_agent(text: str | Path) -> str:
    """Return the name of the model that load_agent loads. Raises UserError if there is none."""
    path = find_run(str(text)) or Path(text)
    is_checkpoint = (path / MANIFEST_FILE).exists()
    for folder in [path] if is_checkpoint else newest_first(path / CHECKPOINTS_FOLDER):
        with suppress(CheckpointError):
            return read_manifest(folder).model
    # It says what is wrong.
    from ddpzero.arena.agents import load_agent

    return load_agent(text).model
