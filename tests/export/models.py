"""Models with random weights, as a training would leave them."""

from __future__ import annotations

from pathlib import Path

import torch

from ddpzero.algorithms.loader import load_algorithm
from ddpzero.config.conversion import settings_to_dict
from ddpzero.config.hydra import compose_settings
from ddpzero.run.checkpoint import weights_to_bytes
from ddpzero.run.folder import config_text
from ddpzero.run.models import write_model

SMALL = ("network.blocks=2", "network.channels=16")
COUNTERS = {"learner_step": 7, "samples": 700, "episodes": 20, "minutes": 1.5}


def written_model(folder: Path, *overrides: str) -> Path:
    """Write a model to the folder "model" in `folder`; return it."""
    settings = compose_settings([*overrides])
    torch.manual_seed(0)
    networks = load_algorithm(settings).make_networks()
    weights = {}
    for name, network in networks.items():
        with torch.no_grad():
            # Otherwise blocks would be the identity.
            for parameter in network.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
        prefix = "" if len(networks) == 1 else f"{name}."
        weights |= {f"{prefix}{key}": value for key, value in network.state_dict().items()}
    config = config_text(settings_to_dict(settings)).encode()
    return write_model(folder / "model", weights_to_bytes(weights), config, COUNTERS)
