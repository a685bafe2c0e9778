"""Settings that were changed and have no effect are told; every setting is known to have one always or sometimes."""

from __future__ import annotations

from dataclasses import fields, replace
from functools import cache
from pathlib import Path

import pytest

from ddpzero.algorithms.loader import load_plugin
from ddpzero.config.conf_folder import conf_dir
from ddpzero.config.hydra import compose_settings
from ddpzero.config.ignored import ignored_settings
from ddpzero.settings import (
    ActorSettings,
    ArenaSettings,
    CheckpointSettings,
    JudgeSettings,
    LearnerSettings,
    LoggingSettings,
    ReleaseSettings,
    ReplaySettings,
)
from tests.places import OWN_GAMES

CORE = {
    "actors": ActorSettings,
    "replay": ReplaySettings,
    "learner": LearnerSettings,
    "checkpoint": CheckpointSettings,
    "logging": LoggingSettings,
    "judge": JudgeSettings,
    "arena": ArenaSettings,
    "release": ReleaseSettings,
}
PLUGINS = ("ddpzero.algorithms.alphazero", "ddpzero.algorithms.ddpg")
SNAKES = "+experiment=snakes"
LINEAR = (SNAKES, "opponent=linear")
PUCT = "search=puct"
COSINE = ("learner.learning_rate_schedule=cosine", "learner.max_epochs=9")

# (overrides that make it so, the setting without effect then)
WITHOUT_EFFECT = [
    ((), "learner.episodes_per_round=7"),
    ((), "learner.steps_per_round=7"),
    (("learner.schedule=rounds",), "learner.steps_per_epoch=7"),
    (("learner.schedule=rounds",), "learner.publish_interval_steps=7"),
    (("learner.schedule=rounds",), "replay.samples_per_insert=7"),
    (("learner.schedule=rounds",), "replay.min_samples_per_insert=3"),
    (("learner.schedule=rounds",), "replay.max_samples_per_insert=7"),
    (("search.num_simulations=0",), "actors.max_effort=2"),
    ((SNAKES,), "actors.min_effort=0.5"),
    (("learner.schedule=rounds", "replay.window_exponent=1"), "replay.min_samples=7"),
    ((), "learner.final_learning_rate_fraction=0.5"),
    ((), "learner.timeout_seconds=60"),
    (("device=cpu",), "actors.cuda_graphs=false"),
    (("actors.device=cpu",), "actors.cuda_graphs=false"),
    ((SNAKES,), "actors.cuda_graphs=false"),
    ((), "judge.interval_minutes=7"),
    ((), "judge.num_simulations=[7]"),
    ((), "judge.max_positions=7"),
    (("arena.num_workers=0",), "judge.file=connect_four"),
    (("arena.num_workers=0",), "arena.opponents=[random]"),
    (("arena.num_workers=0",), "arena.games=20"),
    (("arena.num_workers=0",), "arena.num_simulations=7"),
    (("arena.num_workers=0",), "arena.share=0.5"),
    ((), "release.games=20"),
    ((), "release.threshold=0.6"),
    ((), "release.min_elo=7"),
    ((), "release.max_steps=7"),
    (("release.rule=gate",), "release.min_elo=7"),
    (("release.rule=gate",), "release.max_steps=7"),
    (("release.rule=elo",), "release.threshold=0.6"),
    (("logging.interval_episodes=9",), "logging.interval_seconds=7"),
    ((), "search.c_puct=3"),
    ((), "search.c_puct_base=3"),
    ((), "search.first_play_reduction=3"),
    ((), "search.dirichlet_alpha=3"),
    ((), "search.dirichlet_fraction=0.5"),
    ((), "search.temperature=3"),
    ((), "search.temperature_plies=3"),
    ((), "search.final_temperature=3"),
    ((PUCT,), "search.max_considered_actions=3"),
    ((PUCT,), "search.gumbel_scale=2"),
    ((PUCT,), "search.value_scale=3"),
    ((PUCT,), "search.max_visit_offset=3"),
    ((PUCT,), "algorithm.play_value_scale=3"),
    (("search.value_scale=0",), "search.max_visit_offset=3"),
    ((PUCT, "search.dirichlet_fraction=0"), "search.dirichlet_alpha=3"),
    ((PUCT, "search.final_temperature=1"), "search.temperature_plies=3"),
    ((PUCT, "search.temperature_plies=0"), "search.temperature=3"),
    ((PUCT, "search.temperature_plies=42"), "search.final_temperature=3"),
    (("search.num_simulations=0",), "search.value_scale=3"),
    (("search.num_simulations=0",), "search.max_visit_offset=3"),
    (("search.num_simulations=0",), "search.max_considered_actions=3"),
    (("search.num_simulations=0",), "search.leaves_per_round=3"),
    (("search.num_simulations=0",), "search.endgame_plies=3"),
    (("search.num_simulations=0",), "search.forced_win_plies=2"),
    ((), "search.endgame_positions=3"),
    (("search.num_simulations=0", "search.endgame_plies=3"), "search.endgame_positions=3"),
    (("search.num_simulations=0",), "search.solve=false"),
    (("search.num_simulations=0",), "algorithm.play_out_fraction=0.5"),
    ((PUCT, "search.num_simulations=0"), "search.c_puct=3"),
    (("+experiment=go_curriculum",), "search.num_simulations=77"),
    ((), "search.virtual_loss=2"),
    ((), "algorithm.final_num_simulations=99"),
    ((), "algorithm.fast_simulations=9"),
    (("search.num_simulations=0",), "algorithm.full_search_fraction=0.5"),
    (("algorithm.evaluation_cache_megabytes=0",), "algorithm.cache_max_age=2"),
    (("algorithm.evaluation_cache_megabytes=0",), "algorithm.cache_uses_views=true"),
    (("learner.schedule=rounds",), "algorithm.cache_max_age=2"),
    (("game=@one_way@",), "algorithm.cache_uses_views=true"),
    (("search.num_simulations=0", "learner.max_epochs=9"), "algorithm.final_num_simulations=99"),
    ((), "search.score_scale=2"),
    (("search.solve=false",), "algorithm.play_out_fraction=0.5"),
    (("search.solve=false",), "algorithm.play_endgame_plies=5"),
    (("algorithm.value_lambda=0.9",), "algorithm.root_value_weight=0.7"),
    ((), "algorithm.short_value_lambdas=[0.1,0.2,0.3]"),
    ((), "algorithm.restart_priority=uniform"),
    ((), "algorithm.restart_archive_size=7"),
    (("learner.schedule=rounds",), "algorithm.restart_fraction=0.5"),
    (("game=@one_way@",), "algorithm.random_symmetry=true"),
    (("game=@one_way@",), "algorithm.play_averages_symmetries=true"),
    ((), "loss.score=0.7"),
    ((), "loss.ownership=0.7"),
    ((), "network.num_heads=8"),
    (("learner.max_minutes=5",), "network.growth=[{blocks:9,after_minutes:5.0}]"),
    (("learner.max_epochs=2",), "network.growth=[{channels:128,after_step:1000}]"),
    ((), "network.pooling_interval=7"),
    (("network=attention", "network.blocks=4"), "network.pooling_interval=2"),
    ((SNAKES,), "algorithm.gumbel_temperature=2"),
    ((SNAKES, "game.snakes=2"), "algorithm.team_reward_share=0.7"),
    ((SNAKES, "game.snakes=2"), "algorithm.centralized_critic=true"),
    ((SNAKES, "algorithm.final_epsilon=0.2"), "algorithm.epsilon_decay=0.7"),
    ((SNAKES, "algorithm.final_epsilon=0.2"), "algorithm.epsilon_decay_unit=environment_step"),
    ((SNAKES, "algorithm.epsilon_decay=1"), "algorithm.final_epsilon=0.05"),
    ((SNAKES, "algorithm.epsilon_decay=1"), "algorithm.epsilon_decay_unit=environment_step"),
    ((SNAKES, "algorithm.epsilon=0", "algorithm.final_epsilon=0"), "algorithm.epsilon_spread=7"),
    ((SNAKES, "actors.num_games=1"), "algorithm.epsilon_spread=7"),
    ((SNAKES,), "network.channels=7"),
    ((SNAKES,), "opponent.schedule_episodes=7"),
    ((SNAKES,), "opponent.schedule_levels=[random,random,random,random,random]"),
    ((SNAKES,), "opponent.final_agent=bfs"),
    ((SNAKES,), "opponent.final_agent_from_episode=7"),
    (LINEAR, "opponent.first_level=1"),
    (LINEAR, "opponent.promotion_win_share=0.7"),
    (LINEAR, "opponent.promotion_episodes=7"),
    (LINEAR, "opponent.earlier_share=0.7"),
    (LINEAR, "opponent.num_past_selves=7"),
    (LINEAR, "opponent.past_self_interval_steps=7"),
    ((SNAKES, "opponent.first_level=6"), "opponent.promotion_episodes=7"),
    ((SNAKES, "opponent.self_share=1"), "opponent.earlier_share=0.7"),
]
# Settings that are always read, or by name those of conditions above.
ALWAYS_READ = {
    *("actors.num_actors", "actors.num_games", "actors.device", "actors.precision"),
    *("actors.compile", "actors.num_threads", "actors.max_restarts", "actors.hang_seconds"),
    *("replay.capacity", "replay.window_exponent"),
    *("learner.schedule", "learner.batch_size", "learner.optimizer", "learner.learning_rate"),
    *("learner.learning_rate_schedule", "learner.warmup_steps", "learner.weight_decay"),
    *("learner.gradient_clip", "learner.precision", "learner.compile", "learner.num_threads"),
    *("learner.gradient_accumulation", "learner.affinity"),
    *("learner.ema_decay", "learner.max_epochs", "learner.max_minutes", "learner.max_samples"),
    *("learner.max_episodes", "learner.holdout_fraction"),
    *("checkpoint.keep_last", "checkpoint.interval_epochs", "checkpoint.interval_minutes"),
    "checkpoint.at_minutes",
    *("checkpoint.allow_config_change", "logging.interval_episodes", "logging.level"),
    *("logging.csv", "logging.wandb"),
    *("arena.num_workers", "arena.max_models", "release.rule", "release.self_play"),
    *("search.algorithm", "search.score_weight", "search.reuse_subtree"),
    *("algorithm.value_lambda", "algorithm.surprise_weight", "algorithm.random_action_fraction"),
    "algorithm.evaluation_cache_megabytes",
    *("algorithm.opening_random_plies", "curriculum.stages"),
    *("loss.policy", "loss.value", "loss.next_policy", "loss.soft_policy", "loss.short_value"),
    *("network.name", "network.blocks", "network.value_head", "network.width", "network.layers"),
    *("algorithm.observation", "algorithm.gamma", "algorithm.num_steps", "algorithm.tau"),
    *("algorithm.estimator", "algorithm.twin_critics", "algorithm.policy_delay"),
    *("algorithm.actor_learning_rate", "algorithm.entropy_weight", "algorithm.logit_l2"),
    *("algorithm.epsilon", "algorithm.opponent_reward_share", "algorithm.evaluation_share"),
    *("algorithm.reward_scale", "opponent.strategy", "opponent.self_share"),
}
NOT_IN_CONF = ("search.c_puct", "search.first_", "search.dirichlet", "search.temp", "search.final")


@pytest.fixture(scope="module")
def one_way(tmp_path_factory) -> Path:
    """A config folder with the game one_way, in which no position has a symmetric view."""
    folder = tmp_path_factory.mktemp("conf")
    (folder / "game").mkdir()
    source = OWN_GAMES / "take.py"
    (folder / "game" / "one_way.yaml").write_text(f"name: one_way\nsource: {source}\n")
    return folder


@cache
def sentences(overrides: tuple[str, ...], config_dir: Path) -> list[str]:
    words = [word.replace("@one_way@", "one_way") for word in overrides]
    # conf/ has no keys of the search that is not chosen: the plus adds them.
    words = [f"+{word}" if _is_added(word, words) else word for word in words]
    return ignored_settings(compose_settings(words, str(config_dir)))


def _is_added(word: str, words: list[str]) -> bool:
    is_of_puct = word.startswith(NOT_IN_CONF)
    if word.startswith(("search.max_c", "search.gumbel", "search.value", "search.max_v")):
        return PUCT in words
    is_added = word.startswith("network.num_heads") and "network=attention" not in words
    return is_added or (is_of_puct and PUCT not in words)


@pytest.mark.parametrize(("conditions", "override"), WITHOUT_EFFECT)
def test_a_changed_setting_without_effect_is_told(conditions, override, one_way):
    before = sentences(conditions, one_way)
    told = [text for text in sentences((*conditions, override), one_way) if text not in before]
    (sentence,) = told
    key, _, value = override.partition("=")
    assert sentence.startswith(f"{key}={value}")
    assert " has no effect: " in sentence


@pytest.mark.parametrize(
    "overrides",
    [
        ("actors.device=cuda", "actors.cuda_graphs=false"),
        ("search.virtual_loss=2", "search.leaves_per_round=4"),
        ("game=othello", "loss.score=0.7", "loss.ownership=0.7"),
        ("loss.score=0", "loss.ownership=0"),
        ("algorithm.full_search_fraction=0.5", "algorithm.fast_simulations=9"),
        ("learner.max_epochs=9", "algorithm.final_num_simulations=99"),
        ("release.rule=gate", "release.games=20", "release.threshold=0.6"),
        ("release.rule=elo", "release.min_elo=7", "release.max_steps=7"),
        (
            "arena.games=20",
            "arena.opponents=[random]",
            "arena.share=0.5",
            "arena.num_simulations=7",
        ),
        ("loss.short_value=1", "algorithm.short_value_lambdas=[0.1,0.2,0.3]"),
        (*COSINE, "learner.final_learning_rate_fraction=0.5"),
        (PUCT, "search.c_puct=3", "search.temperature=2", "search.temperature_plies=3"),
        ("network.blocks=7", "network.pooling_interval=7"),
        ("network=attention", "network.num_heads=8"),
        ("learner.max_minutes=5", "network.growth=[{blocks:9,after_minutes:4.9}]"),
        ("+experiment=snakes_planes", "network.channels=7"),
        (*LINEAR, "opponent.schedule_episodes=7", "opponent.final_agent_from_episode=7"),
        (SNAKES, "opponent.num_past_selves=7", "opponent.promotion_episodes=7"),
    ],
    ids=" ".join,
)
def test_a_setting_with_effect_is_not_told(overrides, one_way):
    assert sentences(overrides, one_way) == []


def test_several_ranks_wait_for_each_other():
    settings = compose_settings(["learner.timeout_seconds=60"])
    assert ignored_settings(settings, world_size=2) == []


def test_a_changed_setting_of_matches_is_told_in_a_game_of_three_teams():
    # DDPG plays with two teams; another plugin may play with three.
    settings = compose_settings([SNAKES, "arena.games=20", "judge.file=hex3"])
    game = replace(settings.game, parameters={**settings.game.parameters, "teams": 3})
    assert ignored_settings(replace(settings, game=game)) == [
        "arena.games=20 has no effect: a match is between two players, and here are 3 teams.",
        "judge.file=hex3 has no effect: there are no solved positions of team games.",
    ]


def test_every_setting_is_read_always_or_told_where_it_is_not():
    sections = [*CORE.items()]
    for plugin in PLUGINS:
        sections += load_plugin(plugin).sections.items()
    known = {f"{name}.{field.name}" for name, section in sections for field in fields(section)}
    told = {override.partition("=")[0] for _, override in WITHOUT_EFFECT}
    assert told | ALWAYS_READ == known
    assert told & ALWAYS_READ == set()


PRESETS = [
    *([f"+experiment={path.stem}"] for path in (conf_dir() / "experiment").iterdir()),
    *(
        ["+experiment=quick", f"+hardware={path.stem}"]
        for path in (conf_dir() / "hardware").iterdir()
    ),
]


@pytest.mark.parametrize("preset", PRESETS, ids=" ".join)
def test_no_preset_sets_what_has_no_effect(preset):
    assert ignored_settings(compose_settings(preset)) == []
