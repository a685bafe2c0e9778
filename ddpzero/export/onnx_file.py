"""A network as ONNX, and its comparison with torch. Called by run.py; needs the extra `export`."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime
import torch

from ddpzero.algorithms.base import Exportable

# Read by every ONNX Runtime since 2023, by onnxruntime-web too.
OPSET = 18
# Positions in one batch of the comparison.
_BATCH_SIZE = 64
# What the exporter logs about libraries that are not needed here.
_LOGGERS = ("torch.onnx", "onnxscript", "onnx_ir")


@dataclass(frozen=True)
class Agreement:
    """How far ONNX Runtime's answers are from torch's.

    policy_difference: the largest difference of a policy probability. other_difference: of an entry of any other
    output, as a share of that output's largest entry if it is over 1; None if there is no other output.
    """

    num_positions: int
    policy_difference: float
    other_difference: float | None


def to_onnx(exportable: Exportable) -> bytes:
    """Return the network as the content of an .onnx file: batches of any size, names and meanings of all tensors."""
    # Two positions: with one, the exporter could take the batch for a constant.
    example = torch.zeros((2, *exportable.input.shape))
    with _quiet():
        program = torch.onnx.export(
            exportable.network,
            (example,),
            dynamo=True,
            opset_version=OPSET,
            input_names=[exportable.input.name],
            output_names=[output.name for output in exportable.outputs],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    meanings = {facts.name: facts.meaning for facts in (exportable.input, *exportable.outputs)}
    for tensor in (*model.graph.input, *model.graph.output):
        tensor.doc_string = meanings[tensor.name]
    _drop_traces(model)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def compare(
    exportable: Exportable, content: bytes, num_positions: int, rng: np.random.Generator
) -> Agreement:
    """Evaluate random positions with ONNX Runtime and with torch. content: of the .onnx file."""
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    policy_difference, others = 0.0, []
    for start in range(0, num_positions, _BATCH_SIZE):
        inputs = exportable.sample_inputs(min(_BATCH_SIZE, num_positions - start), rng)
        with torch.inference_mode():
            logits, *rest = exportable.network(inputs)
        found = [
            torch.from_numpy(np.array(output))
            for output in session.run(None, {exportable.input.name: inputs.numpy()})
        ]
        probabilities = [torch.softmax(each, dim=1) for each in (logits, found[0])]
        policy_difference = max(policy_difference, _largest_difference(*probabilities))
        others += [
            _largest_difference(one, other) / max(1.0, float(one.abs().max()))
            for one, other in zip(rest, found[1:], strict=True)
        ]
    return Agreement(num_positions, policy_difference, max(others, default=None))


def _largest_difference(one: torch.Tensor, other: torch.Tensor) -> float:
    """Return the largest difference of two entries; infinity if one of them is not finite."""
    difference = float((one - other).abs().max())
    return difference if np.isfinite(difference) else float("inf")


def _drop_traces(model: onnx.ModelProto) -> None:
    """Remove what the exporter notes of its origin: lines of code and paths of this machine."""
    for node in model.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    for value in (*model.graph.value_info, *model.graph.input, *model.graph.output):
        del value.metadata_props[:]
    del model.graph.metadata_props[:]
    del model.metadata_props[:]


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence what the exporter tells its own developers."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
