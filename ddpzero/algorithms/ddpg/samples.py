"""DDPG's samples: transitions of one agent over several steps, with the choice that it made.

Letters: T steps of an episode, K agents of a team, A choices, O the shape of an observation.
"""

from __future__ import annotations

import numpy as np

from ddpzero.algorithms.ddpg.settings import DDPGSettings
from ddpzero.games import TeamGame
from ddpzero.replay.sample import Field, SampleSpec
from ddpzero.system.memory import Layout


def observation_shape(game: TeamGame, settings: DDPGSettings) -> tuple[int, ...]:
    """Return the shape O of an agent's observation: `[F]` for features, `[C, H, W]` for planes."""
    if settings.observation == "features":
        return (game.spec.num_features,)
    return (game.spec.num_planes, *game.spec.board_shape)


def observation_dtype(settings: DDPGSettings) -> np.dtype:
    """Return the dtype in which observations are stored; float16 is precise enough for features in -4..4."""
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
    """Return the layout of the buffers of running episodes, `[num_games, max_steps + 1, ...]`.

    Samples are made from the buffers when an episode ends.
    """
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
    """Return the rewards that agents train on, `[T, K]` float32.

    rewards, opponent_rewards: the game's rewards of the agent's team and of the other team, `[T, K]`.
    """
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
    """Return the columns of an episode, one row per step and agent; no column is a view of an argument.

    observations, legal: `[T + 1, K, *O]`, `[T + 1, K, A]`; the last entry is after the last step.
    choices, rewards: `[T, K]`; the rewards are mixed. weights_versions: `[T]`.
    is_terminated: whether the rules ended the episode; else it was truncated, and the last position has a value.
    """
    num_steps, num_agents = choices.shape
    # [T]: the step at which each transition ends.
    reach = np.minimum(np.arange(num_steps) + settings.num_steps, num_steps)
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
