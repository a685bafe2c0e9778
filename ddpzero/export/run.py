"""Runs `ddpzero export`: a trained network as ONNX, as weights with a card, as a page that plays in the browser."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ddpzero.algorithms.base import Exportable
from ddpzero.algorithms.defaults import can_export
from ddpzero.algorithms.loader import errors_of_plugin
from ddpzero.arena.agents import Agent, load_agent
from ddpzero.export.card import make_card
from ddpzero.export.one_file import is_one_file
from ddpzero.run.checkpoint import weights_to_bytes
from ddpzero.run.checkpoint_content import load_weights
from ddpzero.run.finder import find_run, why_unknown
from ddpzero.system.errors import UserError, require
from ddpzero.system.json_text import json_text
from ddpzero.system.whole_files import replace_whole, require_writable

# The largest difference between torch and ONNX Runtime that is rounding; see Agreement.
LARGEST_DIFFERENCE = 1e-4
WEIGHTS_FILE = "model.safetensors"
MODEL_FILE = "model.onnx"
CARD_FILE = "card.json"


def run_export(
    source: str,
    *,
    onnx: Path | None,
    weights: Path | None,
    static: Path | None,
    num_checked: int,
    seed: int,
    onnxruntime_web: Path | None = None,
) -> None:
    """Export a model and print what was written. Raises UserError; nothing that exists is overwritten.

    source: a run or a checkpoint. onnx: an .onnx file; its card is beside it. weights, static: new folders;
    static may be a new .html file.
    num_checked: random positions in which the ONNX file is compared with torch. onnxruntime_web: see static_page.py.
    """
    _check_targets(onnx, weights, static)
    folder = find_run(source)
    if folder is None:
        raise UserError(f"{source!r} is unknown: {why_unknown(source)}")
    checkpoint = load_weights(folder).path
    agent = load_agent(checkpoint)
    if weights is not None:
        _write_weights(agent, checkpoint, weights)
    if onnx is None and static is None:
        return
    exportable = _exportable(agent)
    if static is not None:
        from ddpzero.export.static_page import require_playable

        require_playable(agent.game, exportable)
    content, agreement = _checked_onnx(agent, exportable, num_checked, seed)
    if onnx is not None:
        card = _card(agent, checkpoint, exportable, {onnx.name: content}, agreement)
        replace_whole(onnx, content)
        replace_whole(onnx.with_suffix(".json"), card)
        print(f"{onnx}: {len(content) / 1000:,.0f} kB; its card: {onnx.with_suffix('.json')}")
    if static is not None:
        from ddpzero.export.static_page import write_page

        card = _card(agent, checkpoint, exportable, {MODEL_FILE: content}, agreement)
        write_page(agent, content, card, static, onnxruntime_web)


def _check_targets(onnx: Path | None, weights: Path | None, static: Path | None) -> None:
    """Raise UserError for a target that exists or cannot be written, or in which one export would replace another."""
    require(
        weights is None or static is None or weights.resolve() != static.resolve(),
        f"--weights {weights} and --static {static} both write {CARD_FILE}: name two folders.",
    )
    require(
        onnx is None
        or weights is None
        or onnx.with_suffix(".json").resolve() != (weights / CARD_FILE).resolve(),
        f"--onnx {onnx} and --weights {weights} both write {CARD_FILE} there: name another file.",
    )
    require(
        onnx is None or static is None or onnx.parent.resolve() != static.resolve(),
        f"--onnx {onnx} is in the folder of --static {static}, which has files of its own: name another folder.",
    )
    if onnx is not None:
        require(
            onnx.suffix == ".onnx", f"--onnx {onnx} must be the name of a file that ends in .onnx."
        )
        for file in (onnx, onnx.with_suffix(".json")):
            require(not os.path.lexists(file), f"--onnx: {file} exists already: name another file.")
        require_writable(f"--onnx {onnx}", onnx.parent, make=True)
    if static is not None and is_one_file(static):
        require(
            not os.path.lexists(static), f"--static {static} exists already: name another file."
        )
        require_writable(f"--static {static}", static.parent, make=True)
    for option, folder in (("--weights", weights), ("--static", static)):
        if folder is not None and not (option == "--static" and is_one_file(folder)):
            is_free = not os.path.lexists(folder) or (folder.is_dir() and not any(folder.iterdir()))
            require(is_free, f"{option} {folder} exists already: name another folder.")
            require_writable(f"{option} {folder}", folder, make=True)


def _exportable(agent: Agent) -> Exportable:
    with errors_of_plugin(agent.plugin, "exportable"):
        return agent.algorithm.exportable(agent.weights, agent.model)


def _write_weights(agent: Agent, checkpoint: Path, folder: Path) -> None:
    """Write the weights and their card. A plugin that exports no network still has weights."""
    exportable = _exportable(agent) if can_export(agent.algorithm) else None
    content = weights_to_bytes(agent.weights)
    card = _card(agent, checkpoint, exportable, {WEIGHTS_FILE: content}, {})
    replace_whole(folder / WEIGHTS_FILE, content)
    replace_whole(folder / CARD_FILE, card)
    print(f"{folder / WEIGHTS_FILE}: {len(content) / 1000:,.0f} kB; its card: {folder / CARD_FILE}")


def _checked_onnx(
    agent: Agent, exportable: Exportable, num_checked: int, seed: int
) -> tuple[bytes, dict[str, Any]]:
    """Return the content of the .onnx file, and what the card says about its comparison with torch."""
    from ddpzero.export.onnx_file import OPSET, compare, to_onnx

    content = to_onnx(exportable)
    found = compare(exportable, content, num_checked, np.random.default_rng(seed))
    differences = f"{found.policy_difference:.1e} of a policy probability"
    if found.other_difference is not None:
        differences += f", {found.other_difference:.1e} of another output"
    print(
        f"{agent.model}: torch and ONNX Runtime differ by at most {differences}, in {num_checked:,} random positions"
    )
    largest = max(found.policy_difference, found.other_difference or 0.0)
    if largest > LARGEST_DIFFERENCE:
        raise RuntimeError(
            f"the ONNX file of {agent.model} differs from torch by {largest:.1e}, more than "
            f"{LARGEST_DIFFERENCE:.0e}: nothing was written. Report it, with the versions of torch and onnxruntime."
        )
    return content, {
        "opset": OPSET,
        "checked_against": f"torch {torch.__version__}",
        "checked_positions": num_checked,
        "largest_policy_difference": found.policy_difference,
        "largest_other_difference": found.other_difference,
    }


def _card(
    agent: Agent,
    checkpoint: Path,
    exportable: Exportable | None,
    files: Mapping[str, bytes],
    agreement: Mapping[str, Any],
) -> bytes:
    card = make_card(agent, checkpoint, exportable, files)
    if agreement:
        card["onnx"] = dict(agreement)
    return f"{json_text(card, indent=2)}\n".encode()
