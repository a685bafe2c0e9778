"""The guidance that actors receive with the weights: how much to explore and which opponents to play. No torch.

The learner sums the results of finished episodes over all ranks, so that the guidance is equal on all of them. Its
state is part of every checkpoint.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from ddpzero.algorithms.ddpg.settings import DDPGSettings, OpponentSettings

# Size of the window of evaluation episodes against each rule agent.
_EVALUATION_GAMES = 100
# Index of epsilon in the vector that actors receive; the shares of the opponents follow.
EPSILON = 0


@dataclass
class Progress:
    """Counts over all ranks and resumes.

    level: with strategy "ladder", the index of the rule agent to beat next.
    wins, games: episodes won and played against it, in a window of about opponent.promotion_episodes.
    evaluation_wins, evaluation_games: the same without exploration, for each rule agent, in a window of about 100.
    """

    episodes: int = 0
    environment_steps: int = 0
    level: int = 0
    wins: float = 0.0
    games: float = 0.0
    evaluation_wins: list[float] = field(default_factory=list)
    evaluation_games: list[float] = field(default_factory=list)


@dataclass
class Guidance:
    """Epsilon and the shares of the opponents, computed from `progress`.

    rule_agents: names in order of strength, from the game's spec.
    """

    settings: DDPGSettings
    opponent: OpponentSettings
    rule_agents: Sequence[str]
    progress: Progress = field(default_factory=Progress)

    def __post_init__(self) -> None:
        num_agents = len(self.rule_agents)
        self.progress.level = self.opponent.first_level
        self.progress.evaluation_wins = num_agents * [0.0]
        self.progress.evaluation_games = num_agents * [0.0]

    @property
    def epsilon(self) -> float:
        """The probability of a random action in the slot that explores most; epsilon_spread lowers it for others."""
        settings = self.settings
        units = {
            "episode": self.progress.episodes,
            "environment_step": self.progress.environment_steps,
        }[settings.epsilon_decay_unit]
        return max(settings.final_epsilon, settings.epsilon * settings.epsilon_decay**units)

    @property
    def shares(self) -> np.ndarray:
        """Shares of the episodes against each rule agent and, last, against past selves.

        `[rule agents + 1]` float64 that sum to 1.
        """
        shares = np.zeros(len(self.rule_agents) + 1)
        self_share = self.opponent.self_share
        shares[-1] = self_share
        level = self._level()
        num_earlier = level if self.opponent.strategy == "ladder" else 0
        earlier_share = self.opponent.earlier_share if num_earlier else 0.0
        shares[level] += (1.0 - self_share) * (1.0 - earlier_share)
        # Each level below the current one has half the share of the level above it.
        weights = 0.5 ** np.arange(num_earlier)[::-1]
        shares[:num_earlier] += (1.0 - self_share) * earlier_share * weights / max(weights.sum(), 1)
        shares /= shares.sum()
        return shares

    @property
    def vector(self) -> np.ndarray:
        """The vector that actors receive: epsilon, then the shares."""
        return np.concatenate([[self.epsilon], self.shares])

    def _count_names(self) -> list[str]:
        levels = range(len(self.rule_agents))
        kinds = ("wins", "games", "evaluation_wins", "evaluation_games")
        results = [f"{kind}_against_{level}" for level in levels for kind in kinds]
        return ["episodes", "environment_steps", *results]

    def count_results(self, infos: Sequence[Mapping[str, Any]]) -> dict[str, float]:
        """Reduce the infos of finished episodes to counts that can be summed over ranks; the keys never change."""
        counts = dict.fromkeys(self._count_names(), 0.0)
        for info in infos:
            counts["episodes"] += 1
            counts["environment_steps"] += info["num_steps"]
            if info["opponent"] < len(self.rule_agents):
                kind = "evaluation_" if info["is_evaluation"] else ""
                counts[f"{kind}games_against_{info['opponent']}"] += 1
                counts[f"{kind}wins_against_{info['opponent']}"] += info["has_won"]
        return counts

    def apply_results(self, counts: Mapping[str, float]) -> None:
        """Update the progress with counts that are summed over all ranks."""
        progress = self.progress
        progress.episodes += int(counts["episodes"])
        progress.environment_steps += int(counts["environment_steps"])
        for level in range(len(self.rule_agents)):
            wins, games = progress.evaluation_wins, progress.evaluation_games
            wins[level] += counts[f"evaluation_wins_against_{level}"]
            games[level] += counts[f"evaluation_games_against_{level}"]
            if games[level] >= 2 * _EVALUATION_GAMES:
                wins[level] /= 2
                games[level] /= 2
        if self.opponent.strategy != "ladder":
            return
        progress.wins += counts[f"wins_against_{progress.level}"]
        progress.games += counts[f"games_against_{progress.level}"]
        window = self.opponent.promotion_episodes
        is_better = progress.wins >= self.opponent.promotion_win_share * progress.games
        if progress.games >= window and is_better and progress.level < len(self.rule_agents) - 1:
            progress.level += 1
            progress.wins = progress.games = 0.0
        elif progress.games >= 2 * window:
            # Halve the weight of old results, so that the win rate follows recent episodes.
            progress.wins /= 2
            progress.games /= 2

    def evaluation_win_shares(self) -> dict[str, float]:
        """Return the share of recent episodes won without exploration, by rule agent; no entry without episodes."""
        progress = self.progress
        shares = zip(
            self.rule_agents, progress.evaluation_wins, progress.evaluation_games, strict=True
        )
        return {name: wins / games for name, wins, games in shares if games}

    def state(self) -> dict[str, Any]:
        return asdict(self.progress)

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continue from `state()`; entries that it lacks keep their initial values.

        If the number of rule agents has changed, all progress starts over. Raises ValueError for values of wrong types.
        """
        if not isinstance(state, Mapping):
            raise ValueError("its guidance is no mapping")
        own = asdict(self.progress)
        known = {name: value for name, value in state.items() if name in own}
        for name, value in known.items():
            values = value if isinstance(value, list) else [value]
            is_right = isinstance(value, list) == isinstance(own[name], list) and all(
                type(entry) in (int, float) and 0 <= entry < 2**63 for entry in values
            )
            if not (is_right and (type(own[name]) is not int or type(value) is int)):
                raise ValueError(f"its guidance has {name}={str(value)[:80]}")
        progress = Progress(**{**own, **known})
        num_agents = len(self.rule_agents)
        lists = (progress.evaluation_wins, progress.evaluation_games)
        if progress.level < num_agents and all(len(entry) == num_agents for entry in lists):
            self.progress = progress

    def _level(self) -> int:
        """Return the index of the current opponent in rule_agents."""
        strategy = self.opponent.strategy
        if strategy == "ladder":
            return self.progress.level
        if self.progress.episodes >= self.opponent.final_agent_from_episode:
            return self.rule_agents.index(self.opponent.final_agent)
        done = min(1.0, self.progress.episodes / self.opponent.schedule_episodes)
        name = self.opponent.schedule_levels[scheduled_level(strategy, done)]
        return self.rule_agents.index(name)


def scheduled_level(strategy: str, done: float) -> int:
    """Return the level, 0..4, in the public script's strategies. done: share of the episodes that are done, 0..1."""
    if strategy == "linear":
        return min(4, int(4 * done))
    if strategy == "exponential":
        return min(4, int(4 * done**1.5))
    return sum(done >= limit for limit in (0.10, 0.30, 0.60, 0.85))
