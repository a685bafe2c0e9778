"""Declarations of DDPG's metrics, in the order in which they are displayed."""

from __future__ import annotations

from ddpzero.system.metric_info import SHARE, MetricInfo, rate, time_share

METRICS = {
    "evaluation/wins_against_*": MetricInfo(
        "Share of recent games without exploration won against the rule agent *.",
        SHARE,
        is_headline=True,
    ),
    "self_play/wins": MetricInfo(
        "Share of the games with exploration that the learning team won.", SHARE, is_headline=True
    ),
    "self_play/team_points": MetricInfo(
        "Points of the learning team in a game with exploration.", "points", is_headline=True
    ),
    "self_play/opponent_points": MetricInfo(
        "Points of the other team in a game with exploration.", "points", is_headline=True
    ),
    "deaths/team": MetricInfo(
        "Deaths of the learning team in a game with exploration.", is_headline=True
    ),
    "losses/total": MetricInfo("The critic's loss.", is_headline=True),
    "losses/actor": MetricInfo(
        "The actor's loss: minus the value that the critic expects of its actions.",
        is_headline=True,
    ),
    "losses/critic": MetricInfo("Smooth L1 distance of the critic from its bootstrapped target."),
    "holdout/critic_loss": MetricInfo(
        "Loss of the critic on episodes that are never trained on; what it exceeds losses/critic by is over-fitting."
    ),
    "exploration/epsilon": MetricInfo(
        "Chance of a random action in the game that explores most.", SHARE, is_headline=True
    ),
    "opponent/level": MetricInfo(
        "Rule agent that the ladder plays against now, counted from 0.", is_headline=True
    ),
    "evaluation/points_against_*": MetricInfo(
        "Points in games without exploration against the rule agent *.", "points"
    ),
    "evaluation/games_against_*": MetricInfo(
        "Games without exploration against the rule agent * that its win share is computed from.",
        "games",
    ),
    "self_play/episode_length": MetricInfo("Mean length of a game.", "steps"),
    "rewards/team": MetricInfo("Sum of the rewards of the learning team in a game."),
    "rewards/agent_*": MetricInfo("Sum of the rewards of the team's agent * in a game."),
    "deaths/agent_*": MetricInfo("Deaths of the team's agent * in a game."),
    "q_values/mean": MetricInfo("Mean value that the critic expects."),
    "q_values/mean_size": MetricInfo("Mean absolute value that the critic expects."),
    "q_values/target": MetricInfo("Mean of the bootstrapped target."),
    "q_values/twins_differ": MetricInfo("Mean distance between the two critics."),
    "policy/entropy": MetricInfo("Entropy of the policy over legal actions.", "nats"),
    "gradients/*_norm": MetricInfo("Norm of the gradient of the * before it is clipped."),
    "gradients/*_skipped_share": MetricInfo(
        "Share of the updates of the * that were skipped, as their gradient was not finite.", SHARE
    ),
    "speed/environment_steps_per_second": rate(
        "environment_steps", "Steps of the games, all actors."
    ),
    "time_actors/all": time_share("seconds", "Share of the actors' time spent in playing."),
}
