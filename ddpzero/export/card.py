"""The card of an exported model: what it plays, what goes in and out, how it was trained, how strong it is.

A JSON file beside the exported one, for people and for programs. README.md in this folder explains its keys.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ddpzero.algorithms.base import Exportable, TensorFacts
from ddpzero.arena.agents import Agent
from ddpzero.arena.judgements import read_judgements
from ddpzero.arena.match_log import read_blocks
from ddpzero.arena.ratings_report import anchor_of, rated_players, run_with_matches
from ddpzero.games import Game, TeamGame
from ddpzero.run.checkpoint_files import CONFIG_FILE, read_manifest
from ddpzero.system.origin import version_text

CARD_FORMAT = "ddpzero card 1"
_LICENSE = "unknown: whoever trained the weights decides about their license"
# The counters of a checkpoint that say how long it was trained.
_COUNTERS = ("learner_step", "samples", "samples_trained", "episodes", "minutes")


def make_card(
    agent: Agent, checkpoint: Path, exportable: Exportable | None, files: Mapping[str, bytes]
) -> dict[str, Any]:
    """Return the card.

    checkpoint: the folder that the agent was loaded from. exportable: None for a plugin that exports no network.
    files: name -> content of the files that the card is about.
    """
    return {
        "format": CARD_FORMAT,
        "model": agent.model,
        "license": _LICENSE,
        "files": {name: _file_facts(content) for name, content in files.items()},
        "game": _game_facts(agent.game),
        **({} if exportable is None else _network_facts(exportable)),
        "training": _training_facts(agent, checkpoint),
        "strength": strength_of(agent.model, checkpoint),
        "exported_by": version_text(),
    }


def _file_facts(content: bytes) -> dict[str, Any]:
    return {"size_bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def _game_facts(game: Game | TeamGame) -> dict[str, Any]:
    facts: dict[str, Any] = {**game.arguments}
    card = {
        "name": facts.pop("name"),
        "source": facts.pop("source"),
        "parameters": facts,
        "num_actions": game.spec.num_actions,
        "description": (game.module.__doc__ or "").strip(),
    }
    if isinstance(game, Game):
        card["board_shape"] = list(game.board_shape)
        card["actions"] = [game.action_name(action) for action in range(game.num_actions)]
        card["packing"] = (
            "Stored observations have the planes as bits, lowest bit first, C x H x W in one row, then one signed "
            "byte for each global: np.packbits(planes, bitorder='little')."
        )
    return card


def _network_facts(exportable: Exportable) -> dict[str, Any]:
    parameters = exportable.network.parameters()
    return {
        "input": _tensor_facts(exportable.input),
        "outputs": [_tensor_facts(output) for output in exportable.outputs],
        "network": {
            **exportable.facts,
            "num_parameters": sum(math.prod(each.shape) for each in parameters),
        },
    }


def _tensor_facts(facts: TensorFacts) -> dict[str, Any]:
    return {
        "name": facts.name,
        "shape": ["batch", *facts.shape],
        "dtype": "float32",
        "meaning": facts.meaning,
    }


def _training_facts(agent: Agent, checkpoint: Path) -> dict[str, Any]:
    manifest = read_manifest(checkpoint)
    counters = {name: agent.counters[name] for name in _COUNTERS if name in agent.counters}
    return {
        "algorithm": agent.plugin,
        **counters,
        "saved_at": manifest.saved_at,
        "grown_from": manifest.grown_from or None,
        "versions": manifest.versions,
        "config_sha256": hashlib.sha256((checkpoint / CONFIG_FILE).read_bytes()).hexdigest(),
    }


def strength_of(model: str, checkpoint: Path) -> dict[str, Any]:
    """Return what the run knows of a model's strength; None where it knows nothing.

    rating: Elo relative to the anchor of its arena, with the 95 % interval. judgements: shares of solved positions.
    """
    run_dir = run_with_matches(checkpoint) or checkpoint.parent.parent
    judgements = [
        {
            "positions": judgement.file,
            "num_positions": judgement.num_positions,
            "shares": [asdict(shares) for shares in judgement.shares],
        }
        for judgement in read_judgements(run_dir)
        if judgement.model == model
    ]
    return {"rating": _rating_of(model, run_dir), "judgements": judgements}


def _rating_of(model: str, run_dir: Path) -> dict[str, Any] | None:
    blocks = read_blocks(run_dir)
    if not blocks:
        return None
    anchor = anchor_of(run_dir, blocks)
    for player in rated_players(run_dir, blocks, anchor):
        if player.rating.player == model:
            return {"anchor": anchor, **asdict(player.rating)}
    return None
