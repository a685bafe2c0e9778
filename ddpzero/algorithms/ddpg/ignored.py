"""Finds the settings of DDPG that have no effect. Called when a run starts; imports no torch."""

from __future__ import annotations

from ddpzero.algorithms.ddpg.settings import ActorCriticSettings, DDPGSettings, OpponentSettings
from ddpzero.games import TeamGame
from ddpzero.settings import Settings

_OF_SCHEDULES = (
    *("opponent.schedule_episodes", "opponent.schedule_levels"),
    *("opponent.final_agent", "opponent.final_agent_from_episode"),
)
_OF_PROMOTION = ("opponent.promotion_win_share", "opponent.promotion_episodes")
_OF_LADDER = ("opponent.first_level", *_OF_PROMOTION, "opponent.earlier_share")
_OF_PAST_SELVES = ("opponent.num_past_selves", "opponent.past_self_interval_steps")


def ignored(settings: Settings, game: TeamGame) -> dict[str, str]:
    """Return the settings that have no effect under the other settings, each with the reason."""
    sections = settings.sections
    algorithm: DDPGSettings = sections["algorithm"]
    reason = "DDPG has no search that could be longer or shorter"
    reasons = dict.fromkeys(("actors.min_effort", "actors.max_effort"), reason)
    reasons["actors.cuda_graphs"] = "actors of DDPG do not capture their networks"
    if algorithm.estimator != "gumbel":
        reasons["algorithm.gumbel_temperature"] = f"algorithm.estimator={algorithm.estimator}"
    if game.spec.agents_per_team == 1:
        for key in ("algorithm.team_reward_share", "algorithm.centralized_critic"):
            reasons[key] = f"agents of game={settings.game.name} have no mates"
    return {
        **reasons,
        **_of_exploration(algorithm, settings.actors.num_games),
        **_of_network(sections["network"]),
        **_of_opponent(sections["opponent"], len(game.spec.rule_agents)),
    }


def _of_exploration(algorithm: DDPGSettings, num_games: int) -> dict[str, str]:
    reasons: dict[str, str] = {}
    first, last = algorithm.epsilon, algorithm.final_epsilon
    if first == last:
        reason = f"algorithm.final_epsilon={last:g} is where epsilon begins"
        reasons["algorithm.epsilon_decay"] = reasons["algorithm.epsilon_decay_unit"] = reason
    elif algorithm.epsilon_decay == 1:
        reason = "with algorithm.epsilon_decay=1 epsilon stays what it is"
        reasons["algorithm.final_epsilon"] = reasons["algorithm.epsilon_decay_unit"] = reason
    if num_games == 1:
        reasons["algorithm.epsilon_spread"] = "actors.num_games=1 explores in one way"
    elif first == 0 or (first == 1 and (last == 1 or algorithm.epsilon_decay == 1)):
        reasons["algorithm.epsilon_spread"] = f"any power of epsilon={first:g} is the same"
    return reasons


def _of_network(network: ActorCriticSettings) -> dict[str, str]:
    if network.name == "torus_cnn":
        return {}
    return {"network.channels": f"network={network.name} has no convolutions"}


def _of_opponent(opponent: OpponentSettings, num_rule_agents: int) -> dict[str, str]:
    reasons: dict[str, str] = {}
    unread = _OF_SCHEDULES if opponent.strategy == "ladder" else _OF_LADDER
    if opponent.strategy == "ladder" and opponent.first_level == num_rule_agents - 1:
        reason = f"opponent.first_level={opponent.first_level} is the strongest rule agent"
        reasons |= dict.fromkeys(_OF_PROMOTION, reason)
    if opponent.self_share == 0:
        reason = "opponent.self_share=0 plays against no past self"
        reasons |= dict.fromkeys(_OF_PAST_SELVES, reason)
    if opponent.self_share == 1:
        reason = "opponent.self_share=1 plays against no rule agent"
        reasons |= dict.fromkeys((*_OF_LADDER, *_OF_SCHEDULES), reason)
    reason = f"opponent.strategy={opponent.strategy} does not read it"
    return reasons | dict.fromkeys(unread, reason)
