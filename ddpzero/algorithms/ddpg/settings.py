"""Settings of DDPG: conf/algorithm/ddpg.yaml, conf/network/mlp.yaml and torus_cnn.yaml, conf/opponent/*.yaml."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ddpzero.system.errors import require, require_at_least, require_at_most

Estimator = Literal["exact", "gumbel", "softmax"]
Strategy = Literal["linear", "exponential", "curriculum", "ladder"]

# Building many more would take hours.
_MAX_LAYERS = 1000


@dataclass(frozen=True)
class DDPGSettings:
    """Settings of exploration, of rewards, and of the updates of actor and critic.

    observation: "features" (numbers, relative to the agent) or "planes" (images of the whole board).
    gamma: discount per step. num_steps: number of rewards that are summed before the critic's estimate (n-step return).
    tau: weight of the online networks in each update of the target networks.
    estimator: of the actor's gradient. "exact": the critic's expectation over all actions; "gumbel": a sampled action
        with the straight-through estimator (Jang et al., 2017); "softmax": the critic evaluates the probabilities as if
        they were an action, as the public baseline does.
    gumbel_temperature: of the softmax of estimator "gumbel".
    twin_critics: train two critics and use the smaller estimate (Fujimoto et al., 2018).
    policy_delay: critic updates per update of the actor and of the target networks.
    actor_learning_rate: peak rate of the actor; None: learner.learning_rate. Both follow the schedule of learner.
    entropy_weight: weight of the policy's entropy in the actor's loss. logit_l2: weight of the mean squared logit.
    epsilon: initial probability of a random legal action. It is multiplied by epsilon_decay after each unit, down to
        final_epsilon.
    epsilon_decay_unit: "episode" or "environment_step", counted over all ranks.
    epsilon_spread: the slots of an actor explore with different rates, from epsilon to epsilon ** (1 + epsilon_spread).
    team_reward_share: share of the team's mean reward in an agent's reward.
    opponent_reward_share: multiple of the opponents' mean reward that is subtracted from an agent's reward.
    centralized_critic: the critic also sees the observations and choices of the mates (Lowe et al., 2017).
    evaluation_share: share of episodes played without exploration, against each rule agent in turn.
    reward_scale: factor on all rewards; it brings Q values and entropy to the same scale.
    """

    observation: Literal["features", "planes"] = "features"
    gamma: float = 0.97
    num_steps: int = 3
    tau: float = 0.01
    estimator: Estimator = "exact"
    gumbel_temperature: float = 1.0
    twin_critics: bool = True
    policy_delay: int = 2
    actor_learning_rate: float | None = None
    entropy_weight: float = 0.01
    logit_l2: float = 1e-3
    epsilon: float = 0.2
    final_epsilon: float = 0.01
    epsilon_decay: float = 0.999
    epsilon_decay_unit: Literal["episode", "environment_step"] = "episode"
    epsilon_spread: float = 2.0
    team_reward_share: float = 0.2
    opponent_reward_share: float = 0.0
    centralized_critic: bool = False
    evaluation_share: float = 0.05
    reward_scale: float = 0.2

    def __post_init__(self) -> None:
        for name in (
            *("gamma", "tau", "epsilon", "final_epsilon", "epsilon_decay"),
            *("team_reward_share", "opponent_reward_share", "evaluation_share"),
        ):
            value = getattr(self, name)
            require(0 <= value <= 1, f"algorithm.{name}={value} must be in 0..1.")
        require(self.tau > 0, f"algorithm.tau={self.tau} must be above 0.")
        require_at_least("algorithm", self, {"gumbel_temperature": 0.001, "reward_scale": 1e-6})
        names = (
            "gumbel_temperature",
            "reward_scale",
            "entropy_weight",
            "logit_l2",
            "epsilon_spread",
        )
        require_at_most("algorithm", self, dict.fromkeys(names, 1_000_000) | {"num_steps": 10_000})
        for name in ("num_steps", "policy_delay"):
            value = getattr(self, name)
            require(value >= 1, f"algorithm.{name}={value} must be at least 1.")
        for name in ("entropy_weight", "logit_l2", "epsilon_spread"):
            value = getattr(self, name)
            require(value >= 0, f"algorithm.{name}={value} must be 0 or more.")
        require(
            self.actor_learning_rate is None or self.actor_learning_rate > 0,
            f"algorithm.actor_learning_rate={self.actor_learning_rate} must be positive, or null.",
        )
        require(
            self.final_epsilon <= self.epsilon,
            f"algorithm.final_epsilon={self.final_epsilon} is above algorithm.epsilon={self.epsilon}: exploration "
            "would grow. Lower final_epsilon.",
        )


@dataclass(frozen=True)
class ActorCriticSettings:
    """The architecture of actor and critic.

    name: "mlp" for features; "torus_cnn" for planes: convolutions that wrap around the edges, then an MLP.
    layers: number of hidden layers. width: units of each of them. channels: of the first convolution.
    """

    name: Literal["mlp", "torus_cnn"] = "mlp"
    width: int = 128
    layers: int = 2
    channels: int = 16

    def __post_init__(self) -> None:
        for name in ("width", "layers", "channels"):
            value = getattr(self, name)
            require(value >= 1, f"network.{name}={value} must be at least 1.")
        require(
            self.layers <= _MAX_LAYERS,
            f"network.layers={self.layers} must be at most {_MAX_LAYERS}.",
        )

    @property
    def min_parameters(self) -> int:
        """A lower bound of the number of parameters."""
        convolutions = 18 * self.channels**2 if self.name == "torus_cnn" else 0
        return (self.layers - 1) * self.width**2 + self.width + convolutions

    @property
    def size_tag(self) -> str:
        """The size as a part of model names, such as "h2x128"."""
        convolutions = f"c{self.channels}" if self.name == "torus_cnn" else ""
        return f"{convolutions}h{self.layers}x{self.width}"


@dataclass(frozen=True)
class OpponentSettings:
    """Settings of the opponents, which play the other team in training.

    strategy: how the rule agent is chosen, by p = episodes / schedule_episodes or by the results of the episodes.
        "linear": level int(4 p). "exponential": level int(4 p ** 1.5). "curriculum": level 0 up to p = 10 %, 1 up to
        30 %, 2 up to 60 %, 3 up to 85 %, then 4. The levels are indices in `schedule_levels`. "ladder": the game's rule
        agents in their order; the next one when the win rate against the current one reaches promotion_win_share.
    final_agent: the rule agent from episode final_agent_from_episode on; not with "ladder".
    first_level: index of the first rule agent of "ladder".
    promotion_episodes: least number of episodes against a rule agent of "ladder" before the next one.
    earlier_share: with "ladder", share of the episodes against rule agents that are against earlier ones.
    self_share: share of all episodes that are against past selves.
    num_past_selves: number of past selves that are kept. A copy of the current agent replaces the oldest one every
        past_self_interval_steps updates.
    """

    strategy: Strategy = "ladder"
    schedule_episodes: int = 50_000
    schedule_levels: tuple[str, ...] = ("random", "nearest", "greedy", "level3", "level4")
    final_agent: str = "evasion"
    final_agent_from_episode: int = 40_000
    first_level: int = 0
    promotion_win_share: float = 0.6
    promotion_episodes: int = 100
    earlier_share: float = 0.3
    self_share: float = 0.2
    num_past_selves: int = 4
    past_self_interval_steps: int = 2_000

    def __post_init__(self) -> None:
        for name in ("schedule_episodes", "promotion_episodes", "past_self_interval_steps"):
            value = getattr(self, name)
            require(value >= 1, f"opponent.{name}={value} must be at least 1.")
        for name in ("promotion_win_share", "earlier_share", "self_share"):
            value = getattr(self, name)
            require(0 <= value <= 1, f"opponent.{name}={value} must be in 0..1.")
        for name in ("final_agent_from_episode", "first_level", "num_past_selves"):
            value = getattr(self, name)
            require(value >= 0, f"opponent.{name}={value} must be 0 or more.")
        require(
            self.self_share == 0 or self.num_past_selves > 0,
            f"opponent.self_share={self.self_share} needs past selves: set opponent.num_past_selves to 1 or more.",
        )
        require(
            len(self.schedule_levels) == 5,
            f"opponent.schedule_levels has {len(self.schedule_levels)} names: the strategies have levels 0 to 4.",
        )
