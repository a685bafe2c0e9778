"""How the training of a run goes: its state, its main curves, and the strength of its models by minute.

Also what trainings add while a page is open: runs, and checkpoints of them.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from ddpzero.arena.match_log import read_blocks
from ddpzero.arena.ratings_report import anchor_of, rated_players
from ddpzero.run.curves import CurvesFile
from ddpzero.run.record import METRICS_FILE, read_metric_info, read_status
from ddpzero.system.metric_info import info_of, sorted_tags
from ddpzero.web.agents import Catalog

_MAX_CURVES = 8
_MAX_POINTS = 160
_COUNTERS = ("minutes", "episodes", "samples", "learner_step")


def describe_offered(catalog: Catalog, game: str) -> dict[str, Any]:
    """Return the games, the runs, and the agents of a game, also new ones. Raises UserError for an unknown game."""
    catalog.look_for_runs()
    is_for_teams = game in catalog.team_games
    agents = catalog.describe_team_agents(game) if is_for_teams else catalog.describe_agents(game)
    return {
        "game": game,
        "games": catalog.describe(),
        "agents": agents,
        "runs": catalog.describe_runs(),
    }


def describe_training(run: Path) -> dict[str, Any]:
    """Return what the page shows of a run.

    state: of status.json, null without one. silent_seconds: since its last sign of life. counters: of the run.
    curves: tag, unit, description, newest, and steps and values of at most _MAX_POINTS points. anchor: the player with
    rating 0, null without matches; strength: minutes, elo, low and high (95 %) of each model, in their order.
    """
    status = read_status(run) or {}
    counters = status.get("counters") or {}
    anchor, strength = _strength(run)
    return {
        "state": status.get("state"),
        "silent_seconds": max(0.0, time.time() - status["time"]) if "time" in status else None,
        "seconds_left": status.get("seconds_left"),
        "counters": {name: counters[name] for name in _COUNTERS if name in counters},
        "curves": _curves(run),
        "anchor": anchor,
        "strength": strength,
    }


def _curves(run: Path) -> list[dict[str, Any]]:
    metrics, curves = read_metric_info(run), CurvesFile(run / METRICS_FILE).refresh()
    tags = [
        tag
        for tag in sorted_tags(metrics, list(curves.newest))
        if info_of(metrics, tag).is_headline and curves.range_of(tag) is not None
    ]
    described = []
    for tag in tags[:_MAX_CURVES]:
        points = [
            (s, row[tag]) for s, row in zip(curves.steps, curves.rows, strict=True) if tag in row
        ]
        # The newest one, too, whichever are left out.
        points = points[: -1 : -(-len(points) // (_MAX_POINTS - 1))] + points[-1:]
        info = info_of(metrics, tag)
        described.append(
            {
                "tag": tag,
                "unit": info.unit,
                "description": info.description,
                "newest": curves.newest[tag],
                "steps": [step for step, _ in points],
                "values": [value for _, value in points],
            }
        )
    return described


def _strength(run: Path) -> tuple[str | None, list[dict[str, float]]]:
    blocks = read_blocks(run)
    if not blocks:
        return None, []
    anchor = anchor_of(run, blocks)
    models = [
        {
            "minutes": player.progress.minutes,
            "elo": player.rating.elo,
            "low": player.rating.low,
            "high": player.rating.high,
        }
        for player in rated_players(run, blocks, anchor)
        if player.progress is not None
    ]
    return anchor, sorted(models, key=lambda model: model["minutes"])
