"""The settings in conf/algorithm/alphazero.yaml and conf/loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ddpzero.networks.settings import NUM_SHORT_VALUES
from ddpzero.system.errors import require, require_at_most

if TYPE_CHECKING:
    from ddpzero.games import Game

RestartPriority = Literal["regret", "uniform"]


_FOR_ANY_GAME = ("next_policy", "soft_policy", "short_value")


@dataclass(frozen=True)
class LossSettings:
    """Weights of the losses (conf/loss/*.yaml). With an auxiliary weight of 0 the network has no such head.

    score: cross-entropy of the final score. ownership: cross-entropy of the final owner of each cell. Games without
    scores or owners ignore them. next_policy: cross-entropy of the search's policy for the next move. soft_policy:
    cross-entropy of the search's policy to the power of 1/4, normalized. short_value: cross-entropy of win, draw and
    loss as the search sees them soon, a mean over algorithm.short_value_lambdas.
    """

    policy: float = 1.0
    value: float = 1.0
    score: float = 0.5
    ownership: float = 0.5
    next_policy: float = 0.0
    soft_policy: float = 0.0
    short_value: float = 0.0

    def __post_init__(self) -> None:
        for name, weight in vars(self).items():
            require(weight >= 0, f"loss.{name}={weight} must be 0 or more.")
            require_at_most("loss", self, {name: 1_000_000})

    def auxiliary(self, game: Game) -> tuple[str, ...]:
        """Return the heads that a network for `game` needs besides policy and value."""
        names = (
            "score" if self.score > 0 and game.has_score else "",
            "ownership" if self.ownership > 0 and game.owner_cells is not None else "",
            *(name if getattr(self, name) > 0 else "" for name in _FOR_ANY_GAME),
        )
        return tuple(filter(None, names))


@dataclass(frozen=True)
class AlphaZeroSettings:
    """Settings of self-play, of the value target and of the trained player.

    root_value_weight: weight of the search's root value in the value target; the outcome has the rest, up to 1.
    value_lambda: if set, the value target is the lambda-return (Sutton, 1988) instead of that mix: the root value k
        plies later has the weight (1 - value_lambda) * value_lambda ** k, and the outcome has the rest.
    short_value_lambdas: of three such targets for the heads of loss.short_value; they look lambda / (1 - lambda) plies
        ahead on average.
    surprise_weight: share of the weight of an episode's policy losses that is divided in proportion to the KL
        divergence of the policy target from the network's prior (KataGo's policy surprise weighting); the rest is
        divided evenly. The mean weight is 1.
    random_action_fraction: share of self-play moves that are sampled uniformly, for variety; the policy target remains
        the search's.
    opening_random_plies: N; each episode starts with 0..N random plies, which are not trained on. Number and moves are
        sampled uniformly. The first episodes of an actor start at any ply, see actor.py.
    final_num_simulations: simulations per move at the end of the run; search.num_simulations grows to it linearly with
        the share of the run that is done. None: the number never changes.
    full_search_fraction: share of the moves in self-play that are searched with all simulations and train the policy
        (KataGo's playout cap randomization); the others train only the value, unless their search proves the outcome.
    fast_simulations: simulations of these other moves, which PUCT makes without root noise.
    restart_fraction: share of episodes that start from a position of an archive, instead of the initial position and
        random plies. Each actor keeps an archive of positions from its own finished episodes for each board.
    restart_priority: "uniform": all positions are equally likely. "regret": in proportion to how much they were
        misjudged, see archive.py.
    restart_archive_size: the most positions in an archive; a new one replaces the oldest.
    random_symmetry: in self-play, evaluate each position in a symmetric view sampled at random.
    play_out_fraction: share of episodes that continue after the search has proven their outcome; the others end there.
    evaluation_cache_megabytes: size of each actor's cache of evaluations; 0: no cache.
    cache_uses_views: share cached evaluations between the symmetric views of a position: each position is evaluated in
        one of its views.
    cache_max_age: publishes that a cached evaluation outlives; 0: it is used with the weights that made it only.
    play_value_scale: search.value_scale of the trained player in matches, judges and play; None: as in self-play.
    play_endgame_plies: search.endgame_plies of the trained player; None: as in self-play.
    play_averages_symmetries: in matches, judges and play, average evaluations over all symmetric views of a position.
    """

    root_value_weight: float = 0.5
    value_lambda: float | None = None
    short_value_lambdas: tuple[float, ...] = (0.5, 0.75, 0.9)
    surprise_weight: float = 0.0
    random_action_fraction: float = 0.03
    opening_random_plies: int = 0
    final_num_simulations: int | None = None
    full_search_fraction: float = 1.0
    fast_simulations: int = 12
    restart_fraction: float = 0.0
    restart_priority: RestartPriority = "regret"
    restart_archive_size: int = 2_000
    random_symmetry: bool = False
    play_out_fraction: float = 1.0
    evaluation_cache_megabytes: float = 32.0
    cache_uses_views: bool = False
    cache_max_age: int = 0
    play_value_scale: float | None = None
    play_endgame_plies: int | None = None
    play_averages_symmetries: bool = False

    def __post_init__(self) -> None:
        shares = ("root_value_weight", "surprise_weight", "random_action_fraction")
        for name in (*shares, "play_out_fraction"):
            value = getattr(self, name)
            require(0 <= value <= 1, f"algorithm.{name}={value} must be in 0..1.")
        require(
            0 < self.full_search_fraction <= 1,
            f"algorithm.full_search_fraction={self.full_search_fraction} must be above 0 and at most 1: the policy "
            "learns from full searches.",
        )
        require(
            1 <= self.fast_simulations <= 1_000_000,
            f"algorithm.fast_simulations={self.fast_simulations} must be in 1..1000000.",
        )
        require(
            0 <= self.restart_fraction < 1,
            f"algorithm.restart_fraction={self.restart_fraction} must be at least 0 and below 1: some episodes must "
            "start from the initial position.",
        )
        require(
            1 <= self.restart_archive_size <= 1_000_000,
            f"algorithm.restart_archive_size={self.restart_archive_size} must be in 1..1000000.",
        )
        for name in ("opening_random_plies", "evaluation_cache_megabytes", "cache_max_age"):
            value = getattr(self, name)
            require(value >= 0, f"algorithm.{name}={value} must be 0 or more.")
        require(
            self.value_lambda is None or 0 <= self.value_lambda <= 1,
            f"algorithm.value_lambda={self.value_lambda} must be in 0..1, or null for a mix by root_value_weight.",
        )
        require(
            len(self.short_value_lambdas) == NUM_SHORT_VALUES,
            f"algorithm.short_value_lambdas={list(self.short_value_lambdas)} must have {NUM_SHORT_VALUES} numbers.",
        )
        for index, value in enumerate(self.short_value_lambdas):
            require(
                0 <= value <= 1,
                f"algorithm.short_value_lambdas[{index}]={value} must be in 0..1.",
            )
        require(
            self.play_value_scale is None or self.play_value_scale >= 0,
            f"algorithm.play_value_scale={self.play_value_scale} must be 0 or more, or null.",
        )
        require(
            self.play_endgame_plies is None or self.play_endgame_plies >= 0,
            f"algorithm.play_endgame_plies={self.play_endgame_plies} must be 0 or more, or null.",
        )
        require(
            self.final_num_simulations is None or self.final_num_simulations >= 1,
            f"algorithm.final_num_simulations={self.final_num_simulations} must be at least 1, or null.",
        )
        require_at_most("algorithm", self, {"play_value_scale": 1_000_000})
