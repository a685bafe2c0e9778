"""A larger network that computes the function of a smaller one: more blocks, more channels. Called by plugins.

Depth: a new block starts as the identity. Width (as in Net2Net, Chen et al., 2016, but with zeros instead of copies):
the old channels ignore the new ones at first, which start like those of a new network, so that gradients reach all
weights within a few updates.

Functions take the networks' settings as `small` and `large`; `small.check_growth(large)` must accept them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ddpzero.games import Game
from ddpzero.networks.network import PolicyValueNetwork, make_network
from ddpzero.networks.settings import NetworkSettings

_TOWER = "tower"


def new_network(
    game: Game, settings: NetworkSettings, auxiliary: Collection[str], seed: int
) -> PolicyValueNetwork:
    """Return a new network, whose weights depend on `seed` alone; torch's global generator stays as it is."""
    before = torch.get_rng_state()
    try:
        torch.default_generator.manual_seed(seed)
        return make_network(game, settings, auxiliary)
    finally:
        torch.set_rng_state(before)


def grow_weights(
    weights: Mapping[str, Tensor],
    fresh: Mapping[str, Tensor],
    small: NetworkSettings,
    large: NetworkSettings,
) -> dict[str, Tensor]:
    """Return weights of the large network that compute the function of `weights`, up to rounding.

    weights: of the small network, by the names of its state_dict, or a moving average of them. fresh: of a new large
    network, on the same device. Raises ValueError if they are of different games or have different heads.
    """
    grown = {}
    for name, new in fresh.items():
        source = _source(name, small, large)
        grown[name] = new.clone()
        if source is None:
            continue
        if source not in weights:
            raise ValueError(f"the smaller network has no {source}: it has other heads.")
        old = weights[source]
        if not _fits(old, new, name, small, large):
            raise ValueError(
                f"{name} is {list(old.shape)} and cannot become {list(new.shape)}: the networks are of other games or "
                "boards."
            )
        if old.ndim > 1:
            # Old outputs do not read new inputs yet.
            grown[name][: len(old)] = 0.0
        _place(old, grown[name], name)
    return grown


def grow_optimizers(
    small_network: nn.Module,
    large_network: nn.Module,
    old: Sequence[Optimizer],
    new: Sequence[Optimizer],
    small: NetworkSettings,
    large: NetworkSettings,
) -> None:
    """Copy the states of the small network's optimizers, `old`, to those of the large one, `new`.

    First moments of new entries are 0. Their second moments are the mean of the old ones in the same tensor: with 0 and
    a large count of steps, the first updates of AdamW would be several times too large.
    """
    names = {id(parameter): name for name, parameter in small_network.named_parameters()}
    entries = {
        (type(optimizer), names[id(parameter)]): entry
        for optimizer in old
        for parameter, entry in optimizer.state.items()
    }
    large_names = {id(parameter): name for name, parameter in large_network.named_parameters()}
    for optimizer in new:
        for parameter in (p for group in optimizer.param_groups for p in group["params"]):
            name = large_names[id(parameter)]
            entry = entries.get((type(optimizer), _source(name, small, large) or ""))
            if entry is not None:
                optimizer.state[parameter] = _grown_entry(entry, parameter, name)


@torch.no_grad()
def largest_difference(
    one: nn.Module, other: nn.Module, planes: Tensor, auxiliary: Collection[str] = ()
) -> float:
    """Return the largest absolute difference between the outputs of two networks. auxiliary: their other heads."""
    results = []
    for network in (one, other):
        policy, value, *rest = network(planes, auxiliary)
        results.append([policy, value, *(logits for others in rest for logits in others.values())])
    pairs = zip(*results, strict=True)
    return max(float((a.float() - b.float()).abs().max()) for a, b in pairs)


def _source(name: str, small: NetworkSettings, large: NetworkSettings) -> str | None:
    """Return the name of the small network's tensor that becomes `name`; None for a tensor of a new block."""
    first, *rest = name.split(".")
    if first != _TOWER:
        return name
    block = _source_block(int(rest[0]), small, large)
    return None if block is None else ".".join([_TOWER, str(block), *rest[1:]])


def _source_block(index: int, small: NetworkSettings, large: NetworkSettings) -> int | None:
    """Return the small network's block that becomes block `index` of the large one; None for a new block."""
    last = small.blocks - 1
    ends_with_attention = small.name == "attention" and last % 2 == 1
    if ends_with_attention and index >= last:
        # New blocks come before the last attention. After it, features may be negative, and there a new residual block
        # would not be the identity: it ends with a rectifier.
        return last if index == large.blocks - 1 else None
    return index if index < small.blocks else None


def _fits(
    old: Tensor, new: Tensor, name: str, small: NetworkSettings, large: NetworkSettings
) -> bool:
    """Return whether the shapes differ only where channels are counted: in the tower, and where others read it."""
    if old.dtype != new.dtype or old.ndim != new.ndim:
        return False
    if name.startswith(f"{_TOWER}."):
        return all(a <= b for a, b in zip(old.shape, new.shape, strict=True))
    channels = (small.channels, large.channels)
    axis = {"stem.weight": 0, "stem.bias": 0}.get(name, 1)
    return all(
        a == b or (i == axis and (a, b) == channels)
        for i, (a, b) in enumerate(zip(old.shape, new.shape, strict=True))
    )


def _place(old: Tensor, new: Tensor, name: str) -> None:
    """Write the small network's tensor to its place in the large one's."""
    if name.endswith(".whole.weight"):
        # The inputs are three groups of pooled channels: see layers.pool.
        groups = new.view(len(new), 3, -1)
        groups[: len(old), :, : old.shape[1] // 3] = old.view(len(old), 3, -1)
    else:
        new[tuple(slice(size) for size in old.shape)] = old


def _grown_entry(entry: Mapping[str, Any], parameter: Tensor, name: str) -> dict[str, Any]:
    """Return an optimizer's state of a parameter for the grown parameter."""
    grown = {}
    for key, value in entry.items():
        if value.ndim == 0:
            grown[key] = value.clone()
            continue
        filling = float(value.mean()) if key == "exp_avg_sq" else 0.0
        grown[key] = torch.full_like(parameter, filling, requires_grad=False)
        _place(value, grown[key], name)
    return grown
