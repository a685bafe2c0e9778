"""Torch modules that turn observations into a policy and a value. Called by evaluators and updaters; knows no search.

`NetworkSettings` must stay cheap to import (the config is checked before torch is loaded), so the rest comes on demand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ddpzero.networks.settings import NetworkSettings

if TYPE_CHECKING:
    from ddpzero.networks.network import make_network
    from ddpzero.networks.observations import unpack_observations
    from ddpzero.networks.precision import training_dtype
    from ddpzero.networks.random_views import RandomViews
    from ddpzero.networks.symmetry_average import SymmetryAverage

_MODULES = {
    "RandomViews": "ddpzero.networks.random_views",
    "SymmetryAverage": "ddpzero.networks.symmetry_average",
    "make_network": "ddpzero.networks.network",
    "training_dtype": "ddpzero.networks.precision",
    "unpack_observations": "ddpzero.networks.observations",
}

__all__ = [
    "NetworkSettings",
    "RandomViews",
    "SymmetryAverage",
    "make_network",
    "training_dtype",
    "unpack_observations",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_MODULES[name]), name)
