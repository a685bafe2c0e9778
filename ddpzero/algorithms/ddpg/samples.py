"""One sample of DDPG: a transition of one agent over several steps, as the action that was really made.

Letters: T steps of an episode, K agents of a team, A choices, M = K - 1 mates, O the shape of an observation.
"""

from __future__ import annotations

import numpy as np

from ddpzero.algorithms.ddpg.settings import DDPGSettings
from ddpzero.games import TeamGame
from ddpzero.replay.sample import Field, SampleSpec
from ddpzero.system.memory import Layout


def observation_shape(game: TeamGame, settings: DDPGSettings) -> tuple[int, ...]:
    """`O`: [F] of features, [C, H, W] of planes."""
    if settings.observation == "features":
        return (game.spec.num_features,)
    return (game.spec.num_planes, *game.spec.board_shape)


def observation_dtype(settings: DDPGSettings) -> np.dtype:
    """As stored: half precision is enough for features between -4 and 4."""
    return np.dtype(np.float16 if settings.observation == "features" else np.uint8)


def sample_spec(game: TeamGame, settings: DDPGSettings) -> SampleSpec:
    shape, dtype = observation_shape(game, settings), observation_dtype(settings)
    num_actions = game.spec.num_actions
    last = num_actions - 1
    number, choice, version = (np.dtype(kind) for kind in (np.float32, np.uint8, np.int32))
    spec: SampleSpec = {
        "observation": Field(shape, dtype, "what the agent saw"),
        "legal": Field((num_actions,), np.dtype(np.bool_), "its choices, True = legal"),
        "choice": Field((), choice, "what it did", low=0, high=last),
        "reward": Field((), number, "discounted sum over the steps"),
        "discount": Field((), number, "of what follows; 0 where the game ended", low=0, high=1),
        "next_observation": Field(shape, dtype, "after the steps"),
        "next_legal": Field((num_actions,), np.dtype(np.bool_), "its choices there"),
        "weights_version": Field((), version, "of the weights that chose", low=0),
    }
    num_mates = game.spec.agents_per_team - 1
    if settings.centralized_critic and num_mates:
        spec |= {
            "mates_observation": Field((num_mates, *shape), dtype, "what its mates saw"),
            "mates_choice": Field((num_mates,), choice, "what they did", low=0, high=last),
            "mates_next_observation": Field((num_mates, *shape), dtype, "after the steps"),
            "mates_next_legal": Field((num_mates, num_actions), np.dtype(np.bool_), "theirs"),
        }
    return spec


def episodes_layout(game: TeamGame, settings: DDPGSettings, num_games: int) -> Layout:
    """What is kept of games under way `[G, T + 1, ...]`, T the most steps; samples are made of it at the end."""
    spec = game.spec
    steps = (num_games, spec.max_steps + 1)
    agents = (*steps, spec.agents_per_team)
    return {
        "observations": (
            (*agents, *observation_shape(game, settings)),
            observation_dtype(settings),
        ),
        "legal": ((*agents, spec.num_actions), np.bool_),
        "choices": (agents, np.uint8),
        "all_rewards": ((*steps, spec.num_agents), np.float32),
        "all_actions": ((*steps, spec.num_agents), np.uint8),
        "weights_versions": (steps, np.int32),
    }


def mixed_rewards(
    rewards: np.ndarray, opponent_rewards: np.ndarray, settings: DDPGSettings
) -> np.ndarray:
    """What an agent is given `[T, K]` float32, from its team's and the other team's rewards `[T, K]`."""
    share = settings.team_reward_share
    mixed: np.ndarray = (1.0 - share) * rewards + share * rewards.mean(axis=1, keepdims=True)
    mixed -= settings.opponent_reward_share * opponent_rewards.mean(axis=1, keepdims=True)
    mixed *= settings.reward_scale
    return mixed.astype(np.float32)


def transitions(
    observations: np.ndarray,
    legal: np.ndarray,
    choices: np.ndarray,
    rewards: np.ndarray,
    weights_versions: np.ndarray,
    is_terminated: bool,
    settings: DDPGSettings,
) -> dict[str, np.ndarray]:
    """The columns of an episode: a row per step and agent, none of them a view of what is given.

    observations `[T + 1, K, *O]` and legal `[T + 1, K, A]`: the last ones after the last step; choices and (mixed)
    rewards `[T, K]`; weights_versions `[T]`. is_terminated: by the rules; else time was up, and the value of the last
    position counts.
    """
    num_steps, num_agents = choices.shape
    reach = np.minimum(np.arange(num_steps) + settings.num_steps, num_steps)  # [T]: where it looks
    sums = np.zeros((num_steps, num_agents), np.float32)
    for ahead in range(min(settings.num_steps, num_steps)):
        sums[: num_steps - ahead] += settings.gamma**ahead * rewards[ahead:]
    discounts = (settings.gamma ** (reach - np.arange(num_steps))).astype(np.float32)
    if is_terminated:
        discounts[reach == num_steps] = 0.0
    columns = {
        "observation": observations[:-1].copy(),
        "legal": legal[:-1].copy(),
        "choice": choices.astype(np.uint8),
        "reward": sums,
        "discount": np.repeat(discounts[:, None], num_agents, axis=1),
        "next_observation": observations[reach],
        "next_legal": legal[reach],
        "weights_version": np.repeat(weights_versions[:, None], num_agents, axis=1),
    }
    if settings.centralized_critic and num_agents > 1:
        mates = np.array([np.delete(np.arange(num_agents), agent) for agent in range(num_agents)])
        columns |= {
            f"mates_{name}": columns[name][:, mates]
            for name in ("observation", "choice", "next_observation", "next_legal")
        }
    return {name: column.reshape(-1, *column.shape[2:]) for name, column in columns.items()}
