"""DDPG's own settings: conf/algorithm/ddpg.yaml, conf/network/mlp.yaml and torus_cnn.yaml, conf/opponent/*.yaml."""

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
    """How an agent explores, what its rewards are, and how actor and critic learn.

    observation: "features" (numbers, seen from the agent) or "planes" (images of the whole board).
    gamma: discount of a step. num_steps: rewards of so many steps are added up before the critic's estimate.
    tau: share of the online networks that goes into the target networks with every update.
    estimator: of the actor's gradient. "exact": the expectation of the critic over all actions; "gumbel": one action,
        straight through (Jang et al., 2017); "softmax": the critic is given the probabilities as if they were an
        action, as the public baseline does.
    twin_critics: the smaller of two estimates counts (Fujimoto et al., 2018). policy_delay: critic updates for each of
        the actor's and of the target networks.
    actor_learning_rate: at its peak; None: learner.learning_rate. The schedule of learner holds for both.
    entropy_weight: of the policy's entropy in the actor's objective. logit_l2: of the mean squared logit.
    epsilon: chance of a random legal action at first; then times epsilon_decay per unit, down to final_epsilon.
    epsilon_decay_unit: "episode" or "environment_step", counted over all ranks.
    epsilon_spread: the games of an actor explore differently: from epsilon to epsilon ** (1 + epsilon_spread).
    team_reward_share: share of the team's mean reward in an agent's reward. opponent_reward_share: so much of the
        opponents' mean reward is taken away.
    centralized_critic: the critic also sees what the team mates see and do (Lowe et al., 2017).
    evaluation_share: of games played without exploration against each of the rule agents in turn.
    reward_scale: factor on all rewards, which keeps critic and entropy of one size.
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
    """The size of actor and critic, two networks of one kind.

    name: "mlp" for features, "torus_cnn" for planes (convolutions that wrap around the edges, then layers as in mlp).
    width: of each of `layers` hidden layers. channels: of the convolutions.
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
        """There are at least so many, at whatever size."""
        convolutions = 18 * self.channels**2 if self.name == "torus_cnn" else 0
        return (self.layers - 1) * self.width**2 + self.width + convolutions

    @property
    def size_tag(self) -> str:
        """The size in a model's name: "h2x128"."""
        convolutions = f"c{self.channels}" if self.name == "torus_cnn" else ""
        return f"{convolutions}h{self.layers}x{self.width}"


@dataclass(frozen=True)
class OpponentSettings:
    """Who plays the other team in training.

    strategy: how the rule agent is chosen: by p = episodes / schedule_episodes, or by the results of the episodes.
        "linear": level int(4 p); "exponential": int(4 p ** 1.5); "curriculum": level 0 up to p = 10 %, 1 up to 30 %, 2
        up to 60 %, 3 up to 85 %, then 4; levels are `schedule_levels`. "ladder": one of the game's rule agents, in
        their order, the next one when the win rate against the present one passes promotion_win_share.
    final_agent: "linear", "exponential" and "curriculum" play against it from final_agent_from_episode on.
    earlier_share: "ladder": of the games against rule agents so many are against the ones below the present.
    self_share: of all games, against past selves. num_past_selves: kept, one more every past_self_interval_steps
        updates in place of the oldest.
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
