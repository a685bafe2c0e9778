"""Deep deterministic policy gradient (Lillicrap et al., 2016) for team games with discrete actions.

With the later remedies that training needs; see settings.py. This module is the plugin and does not import torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ddpzero.algorithms.ddpg.ignored import ignored
from ddpzero.algorithms.ddpg.metrics import METRICS
from ddpzero.algorithms.ddpg.settings import (
    ActorCriticSettings,
    DDPGSettings,
    OpponentSettings,
)
from ddpzero.games import TeamGame
from ddpzero.settings import Settings
from ddpzero.system.errors import require

if TYPE_CHECKING:
    from ddpzero.algorithms.ddpg.algorithm import DDPG

__all__ = ["GAME_KIND", "METRICS", "SECTIONS", "check", "ignored", "make_algorithm"]

GAME_KIND = TeamGame
SECTIONS = {
    "algorithm": DDPGSettings,
    "network": ActorCriticSettings,
    "opponent": OpponentSettings,
}


def make_algorithm(game: TeamGame, sections: Mapping[str, Any]) -> DDPG:
    """Return DDPG for a game. sections: the settings, by the names in SECTIONS."""
    from ddpzero.algorithms.ddpg.algorithm import DDPG  # imports torch

    return DDPG(game, sections["algorithm"], sections["network"], sections["opponent"])


def check(settings: Settings, game: TeamGame) -> None:
    """Raise UserError unless the game has two teams and the rule agents named as opponents, observation and network fit
    together, and the settings ask for float32 and no compiled actors.
    """
    require(
        game.spec.num_teams == 2,
        f"algorithm=ddpg cannot play game={settings.game.name}: it has {game.spec.num_teams} teams, not 2.",
    )
    opponent = settings.sections["opponent"]
    agents = game.spec.rule_agents
    require(
        opponent.first_level < len(agents),
        f"opponent.first_level={opponent.first_level} must be below {len(agents)}: game={settings.game.name} has the "
        f"rule agents {', '.join(agents)}, counted from 0.",
    )
    if opponent.strategy != "ladder":
        for name in (*opponent.schedule_levels, opponent.final_agent):
            require(
                name in agents,
                f"opponent.strategy={opponent.strategy} plays against {name!r} (schedule_levels, then "
                f"final_agent), which is no rule agent of game={settings.game.name}: it has {', '.join(agents)}.",
            )
    observation = settings.sections["algorithm"].observation
    network = settings.sections["network"].name
    require(
        (observation == "planes") == (network == "torus_cnn"),
        f"algorithm.observation={observation} does not go with network.name={network}: features need "
        "network=ddpg/mlp, planes need network=ddpg/torus_cnn.",
    )
    for path, precision in (
        ("learner.precision", settings.learner.precision),
        ("actors.precision", settings.actors.precision),
    ):
        require(
            precision in ("auto", "float32"),
            f"{path}={precision}: algorithm=ddpg computes in float32, its networks are too small for less to pay: use "
            "auto or float32.",
        )
    require(
        not settings.actors.compile,
        "actors.compile=true: algorithm=ddpg compiles the learner's networks only (learner.compile): remove it.",
    )
