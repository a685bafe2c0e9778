"""Declarations of AlphaZero's metrics, in the order in which they are displayed."""

from __future__ import annotations

from ddpzero.system.metric_info import SHARE, MetricInfo, rate, ratio, time_share

METRICS = {
    "losses/total": MetricInfo("Weighted sum of all losses.", is_headline=True),
    "losses/policy": MetricInfo(
        "Cross-entropy of the policy head with the search's policy target; its floor is policy/target_entropy. "
        "All samples count alike.",
        is_headline=True,
    ),
    "losses/value": MetricInfo(
        "Cross-entropy of the value head (win, draw, loss) with the value target.", is_headline=True
    ),
    "policy/kl_to_search": MetricInfo(
        "KL divergence of the policy from the search's policy target: what the policy has still to learn.",
    ),
    "value/accuracy": MetricInfo(
        "Share of decided positions for which the value head names the winner.",
        SHARE,
        is_headline=True,
    ),
    "self_play/first_player_wins": MetricInfo(
        "Share of the games that the first player won.", SHARE, is_headline=True
    ),
    "self_play/draws": MetricInfo("Share of tied games.", SHARE, is_headline=True),
    "self_play/second_player_wins": MetricInfo(
        "Share of the games that the second player won.", SHARE
    ),
    "self_play/episode_length": MetricInfo(
        "Mean length of the games that began in the initial position.", "plies", is_headline=True
    ),
    "self_play/first_player_score": MetricInfo(
        "Points by which the first player is ahead at the end of a game.", "points"
    ),
    "speed/simulations_per_second": rate(
        "simulations", "Simulations of the tree search, all actors.", is_headline=True
    ),
    "self_play/simulations_per_move": ratio(
        "simulations", "moves", "Mean simulations of the searches of moves in self-play.", unit=""
    ),
    "self_play/proven_share": ratio(
        "proven_moves", "moves", "Share of the moves in self-play whose search proved the outcome."
    ),
    "self_play/policy_share": ratio(
        "moves_with_policy",
        "moves",
        "Share of the moves in self-play that train the policy; the others were searched fast.",
    ),
    "self_play/cache_hit_share": ratio(
        "cache_hits",
        "cache_look_ups",
        "Share of leaf evaluations that the actors' evaluation cache answers.",
    ),
    "holdout/policy_loss": MetricInfo(
        "Loss of the policy on episodes that are never trained on; what it exceeds losses/policy by is over-fitting.",
        is_headline=True,
    ),
    "holdout/value_loss": MetricInfo(
        "Loss of the value on episodes that are never trained on; see losses/value."
    ),
    "holdout/total_loss": MetricInfo("Total loss on episodes that are never trained on."),
    "holdout/value_accuracy": MetricInfo(
        "Accuracy of the value on episodes that are never trained on.", SHARE
    ),
    "holdout/*_loss": MetricInfo("Loss losses/* on episodes that are never trained on."),
    "losses/next_policy": MetricInfo("Cross-entropy of the head for the next move's policy."),
    "losses/soft_policy": MetricInfo("Cross-entropy of the head for the softer policy target."),
    "losses/short_value": MetricInfo(
        "Cross-entropy of the heads for the value in the near future, a mean over the horizons."
    ),
    "self_play/restart_share": MetricInfo(
        "Share of the games that began in an archived position.", SHARE
    ),
    "self_play/distinct_positions_ply_*": MetricInfo(
        "Number of distinct positions after * plies as a share of the games, of at most 256 in a row.",
        SHARE,
    ),
    "losses/score": MetricInfo("Cross-entropy of the score head, over all final scores."),
    "losses/ownership": MetricInfo("Cross-entropy of the ownership head, a mean over the cells."),
    "policy/entropy": MetricInfo("Entropy of the policy head.", "nats"),
    "policy/target_entropy": MetricInfo("Entropy of the search's policy target.", "nats"),
    "score/mean": MetricInfo("Mean final score that the score head expects.", "points"),
    "score/mean_error": MetricInfo(
        "Mean distance of the predicted score from the final score.", "points"
    ),
    "curriculum/stage": MetricInfo("Stage of the curriculum, counted from 1."),
    "curriculum/share_of_*": MetricInfo("Share of the games that were played on board *.", SHARE),
    "gradients/norm": MetricInfo("Norm of the gradient before it is clipped."),
    "gradients/skipped_share": MetricInfo(
        "Share of the updates that were skipped, as their gradient was not finite.", SHARE
    ),
    "speed/evaluations_per_second": rate("evaluations", "Leaves evaluated by networks."),
    "time_actors/all": time_share("seconds", "Share of the actors' time spent in playing."),
    "time_actors/forward": time_share(
        "seconds_forward", "Share of the actors' time spent in evaluating leaves."
    ),
    "time_actors/cpu_forward": time_share(
        "cpu_seconds_forward", "The same in seconds of the actors' processors."
    ),
}
