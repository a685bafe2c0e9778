"""`init_from=RUN[@EPISODE]`: a new run that begins with the weights of another one, and with nothing else of it.

Called by the learner, on all ranks together, where there is no checkpoint of its own to resume from.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import torch

from ddpzero.checkpoint import ReleasedWeights, load_weights
from ddpzero.checkpoint_files import (
    CHECKPOINTS_FOLDER,
    MANIFEST_FILE,
    CheckpointError,
    newest_first,
    read_manifest,
)
from ddpzero.distributed import Ranks
from ddpzero.settings import UserError, require
from ddpzero.weights_fit import misfit

log = logging.getLogger(__name__)


def load_initial_weights(
    source: str, runs_dir: Path, expected: Mapping[str, torch.Tensor], ranks: Ranks
) -> dict[str, torch.Tensor]:
    """The released weights of `source`, all of `expected`'s names and shapes; all ranks together, the same for all.

    source: the folder of a run or of a checkpoint, or the name of a run in runs_dir; with @N the newest checkpoint of
    that run with at most N episodes. UserError for one that does not exist or does not fit.
    """
    # The other run may be going on: rank 0 says which checkpoint it is, or what is wrong.
    found, problem = "", ""
    if ranks.is_first:
        try:
            found = str(find_checkpoint(source, runs_dir))
        except UserError as error:
            problem = str(error)
    found, problem = ranks.gather([found, problem])[0]
    require(not problem, problem)
    released = load_weights(Path(found))
    _check_fit(source, released, expected)
    log.info(
        "begins with the weights of %s (%d episodes, %d updates)",
        released.path,
        released.counters.get("episodes", 0),
        released.counters["learner_step"],
    )
    return released.weights


def find_checkpoint(source: str, runs_dir: Path) -> Path:
    """The folder of the checkpoint that `source` names; see load_initial_weights."""
    name, at, digits = source.rpartition("@")
    if not at:
        return load_weights(_folder(source, source, runs_dir)).path
    require(
        digits.isascii() and digits.isdecimal(),
        f"init_from={source}: {digits!r} after @ is not a number of episodes.",
    )
    folder = _folder(source, name, runs_dir)
    require(
        not (folder / MANIFEST_FILE).exists(),
        f"init_from={source}: {name} is one checkpoint, not a run: leave out @{digits}.",
    )
    found = []
    for path in newest_first(folder / CHECKPOINTS_FOLDER):
        try:
            episodes = int(read_manifest(path).counters.get("episodes", 0))
        except CheckpointError as error:
            log.warning("checkpoint %s is passed over: %s", path.name, error)
            continue
        if episodes <= int(digits):
            return path
        found.append(episodes)
    raise UserError(
        f"init_from={source}: {folder} has no checkpoint of at most {digits} episodes; it has "
        f"{', '.join(map(str, sorted(found))) or 'none at all'}. checkpoint.keep_last says how many a run keeps."
    )


def _folder(source: str, name: str, runs_dir: Path) -> Path:
    for folder in (Path(name), runs_dir / name):
        if (folder / MANIFEST_FILE).exists() or (folder / CHECKPOINTS_FOLDER).is_dir():
            return folder
    raise UserError(
        f"init_from={source}: neither {name} nor {runs_dir / name} is the folder of a run with checkpoints, or of a "
        "checkpoint."
    )


def _check_fit(
    source: str, released: ReleasedWeights, expected: Mapping[str, torch.Tensor]
) -> None:
    if problem := misfit(released.weights, expected):
        raise UserError(
            f"init_from={source}: the networks of {released.model} are others than this run's ({problem}). Give this "
            "run the same game, algorithm and network."
        )
