"""Where the positions of a rank's actors are evaluated: on which device, and whether in a process for all of them.

Called by preflight.py and parts.py, and by benchmarks.
"""

from __future__ import annotations

import torch

from ddpzero.actors import EvaluatorSpec
from ddpzero.algorithms.base import CompleteAlgorithm
from ddpzero.settings import ActorSettings, Settings
from ddpzero.system.device_names import gpus_of
from ddpzero.system.devices import require_apple_gpu
from ddpzero.system.errors import require


def choose_actor_device(
    actors: ActorSettings,
    learner_device: torch.device,
    local_rank: int,
    local_world_size: int = 1,
) -> torch.device:
    """Return the device on which this rank's actors evaluate. Raises UserError if there is no such one.

    Counted GPUs ("cuda:4-7") are for self-play alone: the ranks of the node take them in turn, and none of them may be
    one that a rank trains on.
    """
    name = actors.device
    if name == "auto":
        return learner_device
    if name == "cpu":
        return torch.device("cpu")
    if name == "mps":
        require_apple_gpu("actors.device")
        return torch.device("mps")
    require(
        torch.cuda.is_available(),
        f"actors.device={name}: PyTorch sees no GPU here. Use actors.device=cpu or auto, or see that the "
        "driver and a CUDA build of PyTorch are installed and CUDA_VISIBLE_DEVICES is not empty.",
    )
    gpus = gpus_of(name)
    if gpus is None:
        return torch.device("cuda", local_rank % torch.cuda.device_count())
    _check_own_gpus(name, gpus, learner_device, local_world_size)
    return torch.device("cuda", gpus[local_rank % len(gpus)])


def _check_own_gpus(
    name: str, gpus: range, learner_device: torch.device, local_world_size: int
) -> None:
    """Raise UserError unless these GPUs exist and the ranks of this node can use each of them for self-play alone."""
    num_gpus = torch.cuda.device_count()
    there_are = "cuda:0" if num_gpus == 1 else f"cuda:0 to cuda:{num_gpus - 1}"
    require(
        gpus[-1] < num_gpus,
        f"actors.device={name}: there is no cuda:{gpus[-1]} here, only {there_are}. Name one of these, or see what "
        "CUDA_VISIBLE_DEVICES hides.",
    )
    require(
        learner_device.type != "cuda" or gpus[0] >= local_world_size,
        f"actors.device={name}: a rank trains on cuda:{gpus[0]}, for the first GPUs of a machine are those of its "
        f"{local_world_size} rank(s). Use actors.device=auto to share them, or start fewer ranks than there are GPUs "
        f"(here {num_gpus}) and name the others.",
    )
    require(
        len(gpus) <= local_world_size,
        f"actors.device={name} names {len(gpus)} GPUs for {local_world_size} rank(s), and the actors of a rank use "
        "one: name fewer, or start more ranks.",
    )


def evaluator_of_rank(
    settings: Settings, algorithm: CompleteAlgorithm, device: str, num_actors: int
) -> EvaluatorSpec | None:
    """Return the spec of the process that evaluates what the rank's actors ask; None if each of them evaluates."""
    kind = settings.evaluator
    if kind == "auto":
        # On a CPU, a network in each actor is as fast, and needs no core for itself.
        kind = "shared" if device != "cpu" and num_actors > 1 else "local"
    if kind == "local":
        return None
    spec = algorithm.evaluator_spec(
        settings.actors,
        device,
        settings.simulated if kind == "simulated" else None,
        is_repeatable=settings.learner.schedule == "rounds",
    )
    require(
        spec is not None or settings.evaluator == "auto",
        f"evaluator={settings.evaluator}: the actors of this algorithm evaluate by themselves: use evaluator=local.",
    )
    return spec
