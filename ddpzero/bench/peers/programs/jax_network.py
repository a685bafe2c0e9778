"""The network of networks/network.py in plain jax: the same layers, sizes and initialization.

Channels are last, which is fastest on a CPU. Letters: B batch, C channels, H x W board, A actions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

_POLICY_CHANNELS = 16
_SUMMARY_CHANNELS = 32
_POOLED_SIZE = 64
_DENSE_SIZE = 128
_MIDDLE_SIDE = 10.0

Parameters = dict[str, Any]


def make_parameters(
    settings: Mapping[str, Any],
    board_shape: tuple[int, int],
    num_planes: int,
    num_actions: int,
    actions_are_columns: bool,
    seed: int,
) -> Parameters:
    """Return float32 parameters. settings: blocks, channels, pooling_interval, value_head as in conf/network.

    Actions are columns, or cells and after them others such as a pass.
    """
    rng = np.random.default_rng(seed)
    channels, num_cells = settings["channels"], math.prod(board_shape)
    is_dense = settings["value_head"] == "dense"

    def convolution(size: int, inputs: int, outputs: int, scale: float = 1.0) -> Parameters:
        deviation = scale * math.sqrt(2.0 / (inputs * size**2))
        weight = deviation * rng.standard_normal((size, size, inputs, outputs))
        return {"weight": weight.astype(np.float32), "bias": np.zeros(outputs, np.float32)}

    def linear(inputs: int, outputs: int, scale: float = 1.0) -> Parameters:
        bound = scale / math.sqrt(inputs)
        weight = rng.uniform(-bound, bound, (inputs, outputs))
        return {"weight": weight.astype(np.float32), "bias": np.zeros(outputs, np.float32)}

    def block(index: int) -> Parameters:
        interval = settings["pooling_interval"]
        made = {
            "inner": convolution(3, channels, channels, settings["blocks"] ** -0.5),
            "outer": convolution(3, channels, channels, 0.0),
        }
        if interval > 0 and (index + 1) % interval == 0:
            made["whole"] = linear(3 * -(-channels // 4), channels, 0.0)
        return made

    size = _DENSE_SIZE if is_dense else _POOLED_SIZE
    parameters: Parameters = {
        "stem": convolution(3, num_planes, channels),
        "blocks": [block(index) for index in range(settings["blocks"])],
        "policy_features": convolution(1, channels, _POLICY_CHANNELS),
        "value_features": convolution(1, channels, _SUMMARY_CHANNELS),
        "value_hidden": linear(_SUMMARY_CHANNELS * (num_cells if is_dense else 3), size),
        "outcome": linear(size, 3),
    }
    if actions_are_columns:
        height = board_shape[0] if is_dense else 1
        bound = 1.0 / math.sqrt(_POLICY_CHANNELS * height)
        weight = rng.uniform(-bound, bound, (height, 1, _POLICY_CHANNELS))
        parameters["columns"] = weight.astype(np.float32)
    else:
        bound = 1.0 / math.sqrt(_POLICY_CHANNELS)
        parameters["cells"] = rng.uniform(-bound, bound, _POLICY_CHANNELS).astype(np.float32)
        if num_actions > num_cells:
            parameters["others"] = linear(3 * _POLICY_CHANNELS, num_actions - num_cells)
    return parameters


def cast(parameters: Parameters, dtype: Any) -> Parameters:
    """Return the parameters in this dtype."""
    return jax.tree.map(lambda array: jnp.asarray(array, dtype), parameters)


def num_parameters(parameters: Parameters) -> int:
    return sum(int(array.size) for array in jax.tree.leaves(parameters))


def forward(parameters: Parameters, planes: jax.Array) -> tuple[jax.Array, jax.Array]:
    """planes `[B, H, W, C]` of the parameters' dtype -> policy logits `[B, A]`, value `[B]`, both float32."""
    features = jax.nn.relu(_convolve(parameters["stem"], planes))
    for block in parameters["blocks"]:
        hidden = _convolve(block["inner"], features)
        if "whole" in block:
            num_pooled = block["whole"]["weight"].shape[0] // 3
            pooled = _pool(jax.nn.silu(hidden[..., :num_pooled]))
            hidden = hidden + _linear(block["whole"], pooled)[:, None, None, :]
        hidden = jax.nn.silu(hidden)
        features = jax.nn.relu(_convolve(block["outer"], hidden) + features)
    return _policy(parameters, features), _value(parameters, features)


def _policy(parameters: Parameters, features: jax.Array) -> jax.Array:
    features = jax.nn.silu(_convolve(parameters["policy_features"], features))
    if "columns" in parameters:
        return (features * parameters["columns"]).sum((1, 3)).astype(jnp.float32)
    logits = (features @ parameters["cells"]).reshape(len(features), -1)
    if "others" in parameters:
        logits = jnp.concatenate([logits, _linear(parameters["others"], _pool(features))], axis=1)
    return logits.astype(jnp.float32)


def _value(parameters: Parameters, features: jax.Array) -> jax.Array:
    features = jax.nn.silu(_convolve(parameters["value_features"], features))
    is_pooled = parameters["value_hidden"]["weight"].shape[0] == 3 * _SUMMARY_CHANNELS
    summary = _pool(features) if is_pooled else features.reshape(len(features), -1)
    hidden = jax.nn.silu(_linear(parameters["value_hidden"], summary))
    outcome = jax.nn.softmax(_linear(parameters["outcome"], hidden).astype(jnp.float32))
    return outcome[:, 0] - outcome[:, 2]


def _convolve(layer: Parameters, planes: jax.Array) -> jax.Array:
    weight = layer["weight"]
    if weight.shape[0] == 1:
        return planes @ weight[0, 0] + layer["bias"]
    convolve: Callable[..., jax.Array] = jax.lax.conv_general_dilated
    axes = ("NHWC", "HWIO", "NHWC")
    return convolve(planes, weight, (1, 1), "SAME", dimension_numbers=axes) + layer["bias"]


def _linear(layer: Parameters, vectors: jax.Array) -> jax.Array:
    return vectors @ layer["weight"] + layer["bias"]


def _pool(features: jax.Array) -> jax.Array:
    """`[B, 3 * C]`: mean, mean times the board's size, maximum; as in networks/layers.py."""
    mean = features.mean((1, 2))
    side = math.sqrt(features.shape[1] * features.shape[2])
    scaled = mean * ((side - _MIDDLE_SIDE) / 10.0)
    return jnp.concatenate([mean, scaled, features.max((1, 2))], axis=1)
