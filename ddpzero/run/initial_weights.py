"""`init_from=RUN[@EPISODE]`: a new run starts with the weights of another run, and takes nothing else from it.

Called by the learner, on all ranks together, if the run has no checkpoint to resume from.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch

from ddpzero.run.checkpoint_content import ReleasedWeights, load_weights
from ddpzero.run.checkpoint_files import CHECKPOINTS_FOLDER, MANIFEST_FILE
from ddpzero.run.finder import find_run, nearest_runs
from ddpzero.run.ranks import Ranks
from ddpzero.system.errors import UserError, require
from ddpzero.system.tensors import shape_mismatch

logger = logging.getLogger(__name__)


def load_initial_weights(
    source: str, runs_dir: Path, expected: Mapping[str, torch.Tensor], ranks: Ranks
) -> dict[str, torch.Tensor]:
    """Return the released weights of `source`, with the names and shapes of `expected`; equal on all ranks.

    All ranks call it together. source: the folder of a run or of a checkpoint, or the name of a run in runs_dir; with
    @N the newest checkpoint of that run with at most N episodes. Raises UserError if it does not exist or does not fit.
    """
    # The other run may still be training: rank 0 chooses the checkpoint for all ranks.
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
    logger.info(
        "starts with the weights of %s (%d episodes, %d updates)",
        released.path,
        released.counters.get("episodes", 0),
        released.counters["learner_step"],
    )
    return released.weights


def chosen_weights(
    source: str, runs_dir: Path, expected: Mapping[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """Return those of the released weights of `source` that `expected` names, with their shapes; in this process alone.

    Raises UserError as load_initial_weights does.
    """
    released = load_weights(find_checkpoint(source, runs_dir))
    weights = {name: value for name, value in released.weights.items() if name in expected}
    _check_fit(source, replace(released, weights=weights), expected)
    return weights


def find_checkpoint(source: str, runs_dir: Path) -> Path:
    """Return the folder of the checkpoint that `source` names; see load_initial_weights."""
    folder = find_run(source, runs_dir, "init_from=")
    if folder is not None and any(
        (folder / mark).exists() for mark in (MANIFEST_FILE, CHECKPOINTS_FOLDER)
    ):
        return load_weights(folder).path
    raise UserError(
        f"init_from={source}: neither {source} nor {runs_dir / source} is the folder of a run with checkpoints, or of "
        f"a checkpoint.{nearest_runs(source, runs_dir)}"
    )


def _check_fit(
    source: str, released: ReleasedWeights, expected: Mapping[str, torch.Tensor]
) -> None:
    if problem := shape_mismatch(released.weights, expected):
        raise UserError(
            f"init_from={source}: the networks of {released.model} differ from this run's ({problem}). Use the same "
            "game, algorithm and network; `ddpzero grow` makes a network larger."
        )
