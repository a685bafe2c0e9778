"""The games of a DDPG actor: what determines them, how they explore, what becomes a sample."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ddpzero.actors.spec import UnusableWeightsError
from ddpzero.algorithms.ddpg import actor as actor_module
from ddpzero.algorithms.ddpg.actor import DDPGActor, make_actor
from ddpzero.algorithms.ddpg.algorithm import DDPG, replay
from ddpzero.algorithms.ddpg.player import DDPGPlayer
from ddpzero.algorithms.ddpg.policy import Policy
from ddpzero.algorithms.ddpg.samples import sample_spec
from ddpzero.algorithms.ddpg.settings import DDPGSettings
from ddpzero.arena.team_players import RulePlayer
from ddpzero.arena.team_table import TeamTable
from ddpzero.evaluators.answers import EvaluationError
from ddpzero.games import TeamGame
from ddpzero.games.core.player_errors import PlayerError
from ddpzero.games.core.promises import (
    GamePromiseError,
    require_actions,
    require_end,
    require_rewards,
)
from ddpzero.games.core.random_bits import new_random_states
from ddpzero.games.core.team_lockstep import count_deaths, points_of
from ddpzero.replay import Episode
from ddpzero.replay.sample import check_columns
from tests.algorithms.ddpg.harness import (
    NETWORKS,
    OPPONENT,
    make_updater,
    restless,
    set_in_mind,
    small_snakes,
    weights_of,
)

GAME = small_snakes()
# With beans nearly everywhere snakes grow, and the board is soon too full to go on.
FULL_GAME = small_snakes(snakes=2, beans=30, steps=40)
RULES = GAME.spec.rule_agents
# Rewards as they are, one step each: samples can be compared with games.
PLAIN = {"num_steps": 1, "team_reward_share": 0.0, "reward_scale": 1.0}
# A mind of its own: these choices, the first of them that is legal.
LIKING = [400.0, 200.0, -400.0, 0.0]

Weights = dict[str, np.ndarray]


def some_weights(game: TeamGame, settings: DDPGSettings, seed: int = 5) -> Weights:
    """Of a policy that is not uniform, with guidance as at the start of a run."""
    return weights_of(restless(make_updater(game, settings), seed))


def with_liking(weights: Weights) -> Weights:
    """The same, but the policy has a mind of its own."""
    set_in_mind(weights, "actor.", LIKING)
    return weights


def shares(**of: float) -> list[float]:
    """Of games against rule agents by name, and `selves`."""
    return [of.get(name, 0.0) for name in (*RULES, "selves")]


def new_actor(
    game: TeamGame, settings: DDPGSettings, weights: Weights, num_games: int = 4
) -> DDPGActor:
    actor = DDPGActor(
        game, settings, NETWORKS[settings.observation], OPPONENT, num_games, "cpu", seed=0
    )
    actor.receive(weights, weights_version=3)
    return actor


def play_round(actor: DDPGActor, num_episodes: int, seed: int = 1) -> list[Episode]:
    actor.start_round(num_episodes, seed)
    episodes: list[Episode] = []
    while not actor.round_done:
        episodes += actor.play()
    assert len(episodes) == num_episodes
    return episodes


def assert_same(first: list[Episode], second: list[Episode]) -> None:
    for one, other in zip(first, second, strict=True):
        assert one.info == other.info
        assert one.columns.keys() == other.columns.keys()
        for name, column in one.columns.items():
            np.testing.assert_array_equal(column, other.columns[name], name)


@dataclass
class Clock:
    """Time as an actor sees it: so much passes between two looks."""

    seconds: float
    now: float = 0.0

    def perf_counter(self) -> float:
        self.now += self.seconds
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    """At first time stands still: a slice lasts until the round is done."""
    clock = Clock(0.0)
    monkeypatch.setattr(actor_module, "time", clock)
    yield clock


@dataclass(frozen=True)
class Step:
    positions: np.ndarray
    actions: np.ndarray


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Step]]:
    """Every step that an actor makes: what it puts into the rules."""
    seen: list[Step] = []
    step_games = actor_module.step_games

    def watched(rules, positions, actions, *rest):
        seen.append(Step(positions.copy(), actions.copy()))
        step_games(rules, positions, actions, *rest)

    monkeypatch.setattr(actor_module, "step_games", watched)
    yield seen


def by_step(game: TeamGame, column: np.ndarray) -> np.ndarray:
    """`[T, K, ...]` of a column of samples."""
    return column.reshape(-1, game.spec.agents_per_team, *column.shape[1:])


def observed(game: TeamGame, settings: DDPGSettings, positions: np.ndarray, team: int):
    policy = Policy(game, settings, NETWORKS[settings.observation], "cpu")
    return policy.observe(positions, np.full(len(positions), team))


# ------------------------------------------------------------------ what determines them


@pytest.mark.parametrize("game", [GAME, FULL_GAME], ids=["in time", "full board"])
def test_a_round_is_determined_by_its_seed_and_the_weights(game: TeamGame):
    settings = DDPGSettings(evaluation_share=0.3)
    weights = some_weights(game, settings)
    weights["guidance"][1:] = shares(random=0.4, greedy=0.3, selves=0.3)
    first = play_round(new_actor(game, settings, weights), 10)
    assert_same(first, play_round(new_actor(game, settings, weights), 10))
    other_seed = play_round(new_actor(game, settings, weights), 10, seed=2)
    assert [e.info for e in first] != [e.info for e in other_seed]
    other_weights = some_weights(game, settings, seed=6)
    other_weights["guidance"][:] = weights["guidance"]
    with_them = play_round(new_actor(game, settings, other_weights), 10)
    assert [e.info for e in first] != [e.info for e in with_them]


def test_a_round_does_not_depend_on_how_it_is_cut_into_slices(clock: Clock):
    settings = DDPGSettings(evaluation_share=0.3)
    weights = some_weights(GAME, settings)
    in_one_go = play_round(new_actor(GAME, settings, weights), 6)
    assert clock.now == 0
    clock.seconds = 0.06  # a step, then the slice is over
    actor, num_slices = new_actor(GAME, settings, weights), 0
    actor.start_round(6, round_seed=1)
    step_by_step: list[Episode] = []
    while not actor.round_done:
        step_by_step += actor.play()
        num_slices += 1
    assert num_slices == 2 * GAME.spec.max_steps
    assert_same(step_by_step, in_one_go)


@pytest.mark.parametrize("num_episodes", [2, 6])
def test_a_round_does_not_depend_on_what_was_played_before(num_episodes: int):
    """Nor on how many places of it are idle."""
    settings = DDPGSettings(evaluation_share=0.0)
    weights = some_weights(FULL_GAME, settings)
    weights["guidance"][1:] = shares(selves=1.0)
    expected = play_round(new_actor(FULL_GAME, settings, weights), num_episodes)
    experienced = new_actor(FULL_GAME, settings, weights)
    for seed in (10, 11):
        play_round(experienced, 7, seed)
    experienced.start_round(5, 12)
    experienced.play()
    assert_same(play_round(experienced, num_episodes), expected)


def test_an_actor_that_is_made_anew_plays_by_its_seed():
    arguments: dict[str, Any] = {
        "game": {"name": "snakes", "source": None, **asdict(GAME.parameters)},
        "settings": DDPGSettings(),
        "network": NETWORKS["features"],
        "opponent": OPPONENT,
        "num_games": 3,
        "device": "cpu",
        "rank": 0,
        "actor_index": 0,
    }
    firsts = []
    for seed in (1, 1, 2):
        actor = make_actor(**arguments, seed=seed)
        actor.receive(some_weights(GAME, DDPGSettings()), 1)
        while not (episodes := actor.play()):
            pass
        firsts.append(episodes[0])
    assert_same([firsts[0]], [firsts[1]])
    assert not np.array_equal(firsts[0].columns["observation"], firsts[2].columns["observation"])


# --------------------------------------------------------------------------- exploration


def explored_shares(settings: DDPGSettings, num_games: int = 2) -> list[float]:
    """By place: the share of choices that are not what the policy, always of one mind, would have made.

    Divided by the chance that a random choice is another one, so that it is the share of random choices.
    """
    weights = with_liking(some_weights(GAME, settings))
    found = np.zeros(num_games)
    chances = np.zeros(num_games)
    # No such game ends before its time, so episodes come in the order of their places.
    for number, episode in enumerate(play_round(new_actor(GAME, settings, weights, num_games), 60)):
        assert episode.info["num_steps"] == GAME.spec.max_steps
        legal, choice = episode.columns["legal"], episode.columns["choice"]
        wanted = np.where(legal, LIKING, -np.inf).argmax(axis=1)
        assert legal[np.arange(len(choice)), choice].all()
        found[number % num_games] += (choice != wanted).sum()
        chances[number % num_games] += (1 - 1 / legal.sum(axis=1)).sum()
    return (found / chances).tolist()


def test_choices_that_are_not_random_are_drawn_from_the_policy():
    settings = DDPGSettings(epsilon=0.0, final_epsilon=0.0, evaluation_share=0.0)
    weights = some_weights(GAME, settings)
    set_in_mind(weights, "actor.", [1.0, 0.0, -1.0, 0.5])
    found, expected = np.zeros(4, np.int64), np.zeros(4)
    for episode in play_round(new_actor(GAME, settings, weights), 40):
        policy = np.exp([1.0, 0.0, -1.0, 0.5]) * episode.columns["legal"]
        expected += (policy / policy.sum(axis=1, keepdims=True)).sum(axis=0)
        found += np.bincount(episode.columns["choice"], minlength=4)
    assert found.tolist() == pytest.approx(expected.tolist(), abs=80)
    assert found.sum() == 40 * 2 * GAME.spec.max_steps


@pytest.mark.parametrize("epsilon", [0.0, 0.3, 1.0])
def test_so_many_choices_are_random_as_epsilon_says(epsilon: float):
    settings = DDPGSettings(
        epsilon=epsilon, final_epsilon=0.0, epsilon_spread=0.0, evaluation_share=0.0
    )
    assert explored_shares(settings) == pytest.approx([epsilon, epsilon], abs=0.05 * (epsilon > 0))


def test_games_explore_from_epsilon_down_to_its_power():
    settings = DDPGSettings(epsilon=0.5, epsilon_spread=2.0, evaluation_share=0.0)
    assert explored_shares(settings, 3) == pytest.approx([0.5, 0.5**2, 0.5**3], abs=0.05)


def test_exploration_follows_what_the_learner_published():
    settings = DDPGSettings(epsilon=1.0, epsilon_spread=0.0, evaluation_share=0.0)
    weights = with_liking(some_weights(GAME, settings))
    actor = new_actor(GAME, settings, weights)
    weights["guidance"][0] = 0.0
    actor.receive(weights, weights_version=4)
    for episode in play_round(actor, 4):
        wanted = np.where(episode.columns["legal"], LIKING, -np.inf).argmax(axis=1)
        np.testing.assert_array_equal(episode.columns["choice"], wanted)
        assert (episode.columns["weights_version"] == 4).all()


# ---------------------------------------------------------------------------- evaluation


@pytest.fixture(scope="module")
def evaluations() -> list[Episode]:
    """Two games against every rule agent."""
    settings = DDPGSettings(epsilon=1.0, evaluation_share=1.0, **PLAIN)
    return play_round(new_actor(GAME, settings, some_weights(GAME, settings)), 2 * len(RULES))


def test_evaluation_games_meet_every_rule_agent_in_turn(evaluations: list[Episode]):
    opponents = [episode.info["opponent"] for episode in evaluations]
    assert sorted(opponents) == sorted(2 * list(range(len(RULES))))
    assert {episode.info["team"] for episode in evaluations} == {0, 1}


def test_rounds_with_one_evaluation_game_meet_every_rule_agent_in_the_long_run():
    settings = DDPGSettings(evaluation_share=1.0)
    actor = new_actor(FULL_GAME, settings, some_weights(FULL_GAME, settings), num_games=1)
    opponents = {play_round(actor, 1, seed)[0].info["opponent"] for seed in range(40)}
    assert opponents == set(range(len(RULES)))


def test_evaluation_games_do_not_explore(evaluations: list[Episode]):
    settings = DDPGSettings(evaluation_share=1.0)
    policy = Policy(GAME, settings, NETWORKS["features"], "cpu")
    weights = some_weights(GAME, settings)
    actor = {name: value for name, value in weights.items() if name.startswith("actor.")}
    policy.load({name.removeprefix("actor."): value for name, value in actor.items()})
    for episode in evaluations:
        assert episode.info["is_evaluation"]
        positions = replay(GAME, episode.info)[:-1]
        view = policy.observe(positions, np.full(len(positions), episode.info["team"]))
        best = policy.choose(view, rng=None)
        np.testing.assert_array_equal(by_step(GAME, episode.columns["choice"]), best)


@pytest.mark.parametrize("level", range(len(RULES)), ids=RULES)
def test_an_evaluation_game_can_be_replayed_from_its_record(evaluations: list[Episode], level: int):
    games = [episode for episode in evaluations if episode.info["opponent"] == level]
    assert games
    for episode in games:
        info, team = episode.info, episode.info["team"]
        positions = replay(GAME, info)
        assert len(positions) == info["num_steps"] + 1
        points = np.zeros((1, 2), np.int64)
        points_of(GAME.rules, positions[-1:], points)
        assert points[0, [team, 1 - team]].tolist() == [info["points"], info["opponent_points"]]
        view = observed(GAME, DDPGSettings(), positions, team)
        np.testing.assert_array_equal(
            by_step(GAME, episode.columns["observation"]), view.observation[:-1]
        )


def test_only_evaluation_games_have_a_record_to_show(evaluations: list[Episode]):
    settings = DDPGSettings(evaluation_share=0.0)
    algorithm = DDPG(GAME, settings, NETWORKS["features"], OPPONENT)
    (explored,) = play_round(new_actor(GAME, settings, some_weights(GAME, settings)), 1)
    assert not algorithm.can_show(explored.info)
    info = evaluations[0].info
    assert algorithm.can_show(info)
    text = algorithm.describe_episode(info)
    assert f"against {RULES[info['opponent']]}" in text
    assert GAME.render(replay(GAME, info)[-1]) in text
    assert len(algorithm.film_episode(info)) == info["num_steps"] + 1


# ------------------------------------------------------------------------------- samples


@pytest.mark.parametrize("observation", ["features", "planes"])
@pytest.mark.parametrize("is_centralized", [False, True], ids=["alone", "centralized"])
def test_samples_are_as_the_spec_says(observation: Any, is_centralized: bool):
    settings = DDPGSettings(observation=observation, centralized_critic=is_centralized)
    episodes = play_round(new_actor(GAME, settings, some_weights(GAME, settings)), 3)
    spec = sample_spec(GAME, settings)
    for episode in episodes:
        assert check_columns(spec, episode.columns) == 2 * episode.info["num_steps"]


@pytest.mark.parametrize("observation", ["features", "planes"])
def test_what_is_stored_is_what_was_seen_and_played(observation: Any, steps: list[Step]):
    """With much exploration: not what the policy wanted, but what was done counts."""
    settings = DDPGSettings(observation=observation, epsilon=0.8, evaluation_share=0.0, **PLAIN)
    episodes = play_round(new_actor(GAME, settings, some_weights(GAME, settings), 8), 8)
    assert len(steps) == GAME.spec.max_steps
    for place, episode in enumerate(episodes):
        team = episode.info["team"]
        view = observed(GAME, settings, np.stack([step.positions[place] for step in steps]), team)
        actions = np.stack([step.actions[place] for step in steps])
        choices = by_step(GAME, episode.columns["choice"]).astype(np.int64)
        behind = np.take_along_axis(view.actions, choices[..., None], axis=2)[..., 0]
        np.testing.assert_array_equal(behind, actions[:, 2 * team : 2 * team + 2])
        for name, seen in (("observation", view.observation), ("legal", view.legal)):
            np.testing.assert_array_equal(by_step(GAME, episode.columns[name]), seen)
            following = by_step(GAME, episode.columns[f"next_{name}"])
            np.testing.assert_array_equal(following[:-1], seen[1:])
    assert {episode.info["team"] for episode in episodes} == {0, 1}


def test_samples_stay_as_they_were_when_the_next_game_is_played_in_their_place(clock: Clock):
    settings = DDPGSettings(evaluation_share=0.0)
    actor = new_actor(GAME, settings, some_weights(GAME, settings))
    clock.seconds = 0.06  # a step, then the slice is over
    actor.start_round(8, round_seed=1)
    episodes: list[Episode] = []
    while not episodes:
        episodes = actor.play()
    before = copy.deepcopy(episodes)
    while not actor.round_done:
        actor.play()
    assert_same(episodes, before)


def test_rewards_add_up_to_the_points():
    settings = DDPGSettings(evaluation_share=0.0, epsilon=1.0, **PLAIN)
    episodes = play_round(new_actor(GAME, settings, some_weights(GAME, settings)), 40)
    lost = []
    for episode in episodes:
        rewards = by_step(GAME, episode.columns["reward"])
        assert rewards.sum() == episode.info["points"]
        assert rewards.sum(axis=0).tolist() == episode.info["rewards"]
        lost.append((rewards < 0).sum())
    assert sum(episode.info["points"] for episode in episodes) > 0
    assert sum(lost) > 0


def test_the_deaths_of_a_game_are_counted_for_every_snake(evaluations: list[Episode]):
    for episode in evaluations:
        expected = np.zeros((1, GAME.spec.num_agents), np.int64)
        for position in replay(GAME, episode.info)[1:]:
            count_deaths(GAME.rules, position[None], expected)
        own = slice(2 * episode.info["team"], 2 * episode.info["team"] + 2)
        assert episode.info["deaths"] == expected[0, own].tolist()
    assert sum(sum(episode.info["deaths"]) for episode in evaluations) > 0


def test_the_winner_is_who_has_more_points():
    settings = DDPGSettings(evaluation_share=0.0)
    episodes = play_round(new_actor(GAME, settings, some_weights(GAME, settings)), 40)
    results = set()
    for episode in episodes:
        lead = episode.info["points"] - episode.info["opponent_points"]
        assert (episode.info["has_won"], episode.info["is_draw"]) == (lead > 0, lead == 0)
        results.add(np.sign(lead))
    assert results == {-1, 0, 1}


@pytest.fixture(scope="module")
def full_boards() -> list[Episode]:
    settings = DDPGSettings(evaluation_share=1.0, gamma=0.5, **PLAIN)
    return play_round(new_actor(FULL_GAME, settings, some_weights(FULL_GAME, settings)), 30)


def test_where_the_rules_ended_the_game_nothing_follows(full_boards: list[Episode]):
    early = [e for e in full_boards if e.info["num_steps"] < FULL_GAME.spec.max_steps]
    assert len(early) > 10
    for episode in early:
        discounts = episode.columns["discount"]
        assert discounts[-1] == 0 and (discounts[:-1] == 0.5).all()


def test_where_time_ended_the_game_the_last_position_counts():
    settings = DDPGSettings(evaluation_share=1.0, gamma=0.5, **PLAIN)
    for episode in play_round(new_actor(GAME, settings, some_weights(GAME, settings)), 4):
        assert episode.info["num_steps"] == GAME.spec.max_steps
        assert (episode.columns["discount"] == 0.5).all()
        last = observed(GAME, settings, replay(GAME, episode.info)[-1:], episode.info["team"])
        following = by_step(GAME, episode.columns["next_observation"])[-1]
        np.testing.assert_array_equal(following, last.observation[0])
        np.testing.assert_array_equal(
            by_step(GAME, episode.columns["next_legal"])[-1], last.legal[0]
        )


# ----------------------------------------------------------------------- places, opponents


def test_a_place_is_filled_as_soon_as_its_game_ended(clock: Clock):
    settings = DDPGSettings()
    clock.seconds = 0.06  # a step, then the slice is over
    actor = new_actor(FULL_GAME, settings, some_weights(FULL_GAME, settings), num_games=4)
    actor.start_round(12, round_seed=1)
    lengths: list[int] = []
    num_running: list[int] = []
    while not actor.round_done:
        num_ended = len(lengths)
        lengths += [episode.info["num_steps"] for episode in actor.play()]
        num_running.append(int(actor.take_metrics()["environment_steps"]))
        assert num_running[-1] == min(4, 12 - num_ended)
    assert len(lengths) == 12 and len(set(lengths)) > 4
    assert sum(num_running) == sum(lengths)


def test_without_rounds_games_follow_each_other_for_ever(clock: Clock):
    settings = DDPGSettings()
    clock.seconds = 0.002
    actor = new_actor(FULL_GAME, settings, some_weights(FULL_GAME, settings), num_games=3)
    episodes: list[Episode] = []
    num_steps = 0.0
    while len(episodes) < 20:
        episodes += actor.play()
        num_steps += actor.take_metrics()["environment_steps"]
    assert not actor.round_done
    in_games = sum(episode.info["num_steps"] for episode in episodes)
    assert 0 <= num_steps - in_games <= 3 * FULL_GAME.spec.max_steps


def test_opponents_are_met_as_often_as_their_shares_say():
    settings = DDPGSettings(evaluation_share=0.0)
    weights = some_weights(GAME, settings)
    weights["guidance"][1:] = shares(nearest=0.5, bfs=0.2, selves=0.3)
    episodes = play_round(new_actor(GAME, settings, weights, num_games=250), 1000)
    counts = np.bincount([e.info["opponent"] for e in episodes], minlength=len(RULES) + 2)
    expected = [1000 * share for share in (*shares(nearest=0.5, bfs=0.2)[:-1], 0.15, 0.15)]
    assert counts.tolist() == pytest.approx(expected, abs=60)
    assert (counts[np.array(expected) == 0] == 0).all()


def test_evaluation_games_are_as_many_as_asked():
    settings = DDPGSettings(evaluation_share=0.25)
    episodes = play_round(new_actor(GAME, settings, some_weights(GAME, settings), 250), 1000)
    evaluated = [e.info["opponent"] for e in episodes if e.info["is_evaluation"]]
    assert len(evaluated) == pytest.approx(250, abs=60)
    counts = np.bincount(evaluated, minlength=len(RULES))
    assert counts.max() - counts.min() <= 1


def opponents_actions(
    weights: Mapping[str, np.ndarray], steps: list[Step]
) -> list[tuple[Episode, np.ndarray, np.ndarray]]:
    """Episodes with the positions `[T, P]` of their game and the other team's actions `[T, K]`."""
    settings = DDPGSettings(evaluation_share=0.0)
    steps.clear()
    episodes = play_round(new_actor(GAME, settings, dict(weights), num_games=8), 8)
    found = []
    for place, episode in enumerate(episodes):
        positions = np.stack([step.positions[place] for step in steps])
        actions = np.stack([step.actions[place] for step in steps])
        other = 1 - episode.info["team"]
        found.append((episode, positions, actions[:, 2 * other : 2 * other + 2]))
    return found


def test_rule_agents_play_the_other_team(steps: list[Step]):
    weights = some_weights(GAME, DDPGSettings())
    weights["guidance"][1:] = shares(greedy=1.0)
    greedy, no_draws = RulePlayer(GAME, "greedy"), np.zeros((GAME.spec.max_steps, 2), np.uint64)
    for episode, positions, actions in opponents_actions(weights, steps):
        teams = np.full(len(positions), 1 - episode.info["team"])
        np.testing.assert_array_equal(actions, greedy.choose(positions, teams, no_draws))


def test_past_selves_play_the_other_team_each_with_its_own_weights(steps: list[Step]):
    weights = some_weights(GAME, DDPGSettings())
    weights["guidance"][1:] = shares(selves=1.0)
    likings = [LIKING, LIKING[::-1]]
    for index, liking in enumerate(likings):
        set_in_mind(weights, f"past{index}.", liking)
    seen = set()
    for episode, positions, actions in opponents_actions(weights, steps):
        index = episode.info["opponent"] - len(RULES)
        view = observed(GAME, DDPGSettings(), positions, 1 - episode.info["team"])
        wanted = np.where(view.legal, likings[index], -np.inf).argmax(axis=2)
        np.testing.assert_array_equal(actions, view.actions_of(wanted))
        seen.add(index)
    assert seen == {0, 1}


# ------------------------------------------------------------------ what a game promises


def test_a_game_that_goes_on_after_its_last_step_is_a_broken_promise():
    settings = DDPGSettings()
    hurried = replace(GAME, spec=replace(GAME.spec, max_steps=3))
    actor = new_actor(hurried, settings, some_weights(GAME, settings))
    with pytest.raises(GamePromiseError, match="a game is not over after max_steps=3 steps"):
        play_round(actor, 4)


def test_actions_statuses_and_rewards_that_do_not_exist_are_broken_promises():
    going_on, num_steps = np.zeros(2, np.int64), np.array([1, 2])
    require_end(GAME, going_on, num_steps)
    with pytest.raises(GamePromiseError, match="status is 3: it must be from 0 to 2"):
        require_end(GAME, going_on + 3, num_steps)
    require_actions(GAME, np.array([[0, 3]]))
    for actions in ([[0, 4]], [[-1, 0]]):
        with pytest.raises(GamePromiseError, match="there are 0 to 3"):
            require_actions(GAME, np.array(actions))
    require_rewards(GAME, np.zeros((2, 4), np.float32))
    with pytest.raises(GamePromiseError, match="not a finite number"):
        require_rewards(GAME, np.full((2, 4), np.nan, np.float32))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_an_error_and_never_an_action(bad: float):
    weights = some_weights(GAME, DDPGSettings())
    weights["actor.head.bias"] = np.full_like(weights["actor.head.bias"], bad)
    actor = new_actor(GAME, DDPGSettings(), weights)
    with pytest.raises(UnusableWeightsError, match="weights_version 3: the policy answered with"):
        play_round(actor, num_episodes=2)


def test_a_player_whose_weights_are_not_finite_is_named():
    policy = Policy(GAME, DDPGSettings(), NETWORKS["features"], "cpu")
    for parameter in policy._actor.parameters():
        parameter.data.fill_(np.nan)
    table = TeamTable(GAME, new_random_states(0, 2))
    with pytest.raises(EvaluationError, match="agent: the policy answered with numbers"):
        table.ask(DDPGPlayer(policy, "agent"), np.zeros(2, np.int64), new_random_states(1, 2))


@pytest.mark.parametrize(
    "chosen", [np.full((2, 2), np.nan), np.full((2, 2), -1), np.zeros((2, 3), np.int64)]
)
def test_actions_that_do_not_exist_are_never_stepped(chosen: np.ndarray):
    player = SimpleNamespace(name="toy", choose=lambda positions, teams, states: chosen)
    table = TeamTable(GAME, new_random_states(0, 2))
    with pytest.raises(PlayerError, match="player toy broke"):
        table.ask(player, np.zeros(2, np.int64), new_random_states(1, 2))
