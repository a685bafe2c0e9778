"""Facts about trained agents as players: a toy plugin, whose agents play the action that their weights name."""

from __future__ import annotations

import textwrap
from dataclasses import replace

import numpy as np
import pytest
import torch

from ddpzero.arena.agents import (
    Agent,
    any_game_of_players,
    is_agent,
    load_agent,
    parse_player,
    pinned_player,
    require_agent_that_searches,
    split_level,
)
from ddpzero.arena.judge_report import run_judge
from ddpzero.arena.players import RandomPlayer
from ddpzero.arena.run import run_match
from ddpzero.config.conversion import settings_to_dict
from ddpzero.games import load_game
from ddpzero.judges.packaged import POSITIONS_FOLDER
from ddpzero.run import checkpoint_content
from ddpzero.run.checkpoint_content import ReleasedWeights
from ddpzero.settings import (
    ActorSettings,
    CheckpointSettings,
    GameSettings,
    LearnerSettings,
    LoggingSettings,
    ReplaySettings,
    Settings,
)
from ddpzero.system.errors import UserError
from tests.run.checkpointed_runs import saved_run, snapshot

HARD = POSITIONS_FOLDER / "connect_four_hard.npz"

PLUGIN = """
    import numpy as np
    from ddpzero.games import Game

    GAME_KIND = Game
    SECTIONS = {}


    class Player:
        uses_chance = False

        def __init__(self, game, column, name, num_simulations):
            self.game, self.column, self.name = game, column, name
            self.num_simulations = num_simulations

        def choose(self, positions, rng):
            liking = np.stack([self.game.legal_actions(row) for row in positions]).astype(int)
            liking[:, self.column] *= 2
            return liking.argmax(axis=1)


    class Toy:
        sample_spec = make_networks = make_updater = actor_spec = None

        def __init__(self, game):
            self.game = game

        def fits(self, game):
            return game.parameters.columns == self.game.parameters.columns and game.parameters.line == 4

        def make_player(self, weights, name, *, device, num_simulations=None):
            return Player(self.game, int(weights["column"]), name, num_simulations)


    def make_algorithm(game, sections):
        return Toy(game)
"""


@pytest.fixture
def run_dir(tmp_path, monkeypatch):
    """A run of the toy plugin in Connect Four; its agent likes column d."""
    (tmp_path / "toy_plugin.py").write_text(textwrap.dedent(PLUGIN))
    monkeypatch.syspath_prepend(tmp_path)
    settings = Settings(
        run_name="toy",
        runs_dir="runs",
        seed=0,
        device="cpu",
        algorithm="toy_plugin",
        sections={},
        game=GameSettings("connect_four"),
        actors=ActorSettings(),
        replay=ReplaySettings(),
        learner=LearnerSettings(),
        checkpoint=CheckpointSettings(),
        logging=LoggingSettings(),
    )
    folder = tmp_path / "runs" / "toy"
    folder.mkdir(parents=True)
    released = ReleasedWeights(
        {"column": torch.tensor(3)}, settings_to_dict(settings), {}, "toy-d3-s20-d10", folder
    )

    def load_weights(path):
        assert path == folder
        return released

    monkeypatch.setattr(checkpoint_content, "load_weights", load_weights)
    return folder


def test_a_run_brings_its_game_its_plugin_and_its_name(run_dir):
    agent = load_agent(run_dir)
    assert agent.game.name == "connect_four"
    player = agent.make_player()
    assert player.name == "toy-d3-s20-d10"
    actions = player.choose(agent.game.new_positions(2), np.random.default_rng(0))
    assert actions.tolist() == [3, 3]


def test_simulations_reach_the_player_and_none_leaves_the_runs_own(run_dir):
    game = load_game("connect_four")
    for num_simulations in (None, 0, 64):
        assert parse_player(str(run_dir), game, num_simulations).num_simulations == num_simulations


def test_a_match_takes_its_game_from_the_agent(run_dir, capsys):
    result = run_match(str(run_dir), "random", num_games=10)
    assert result.name_a == "toy-d3-s20-d10"
    assert "toy-d3-s20-d10 against random" in capsys.readouterr().out


def test_an_agent_of_another_game_is_refused(run_dir):
    game = load_game("connect_four", columns=8)
    with pytest.raises(
        ValueError,
        match="was trained on connect_four with rows=6, columns=7, line=4, but the game here is "
        "connect_four with rows=6, columns=8, line=4, which its networks do not fit",
    ):
        run_match(str(run_dir), "random", game=game)


def test_an_agent_plays_on_a_board_of_another_size_that_its_networks_fit(run_dir):
    game = load_game("connect_four", rows=5)
    assert parse_player(str(run_dir), game).game == game


def test_an_agent_is_judged_once_for_each_number_of_simulations(run_dir):
    reports = run_judge(HARD, [str(run_dir), "random"], simulations=(0, 64))
    assert [(report.player, report.num_simulations) for report in reports] == [
        ("toy-d3-s20-d10", 0),
        ("toy-d3-s20-d10", 64),
        ("random", None),
    ]


def test_an_agent_is_judged_as_configured_without_simulations(run_dir):
    (report,) = run_judge(HARD, [str(run_dir)])
    assert report.num_simulations is None


def test_a_match_and_a_judge_use_one_checkpoint_of_a_run_that_trains(run_dir, monkeypatch):
    """However often they load the player."""
    pinned = run_dir / "checkpoints" / "toy-d3-s20-d10"
    pinned.mkdir(parents=True)
    load, loaded = checkpoint_content.load_weights, []

    def load_weights(path):
        loaded.append(path)
        return replace(load(run_dir), path=pinned)

    monkeypatch.setattr(checkpoint_content, "load_weights", load_weights)
    run_match(str(run_dir), "random", num_games=2, num_simulations=5)
    assert loaded == [run_dir, run_dir, pinned]
    loaded.clear()
    run_judge(HARD, [str(run_dir)], simulations=(0, 64))
    assert loaded == [run_dir, pinned, pinned, pinned]


def test_a_checkpoint_that_was_removed_in_the_meantime_is_told(tmp_path, alone):
    checkpoints = saved_run(tmp_path / "live", alone, keep_last=1)
    checkpoints.save(snapshot(1))
    pinned = pinned_player(str(tmp_path / "live"))
    assert pinned == str(next((tmp_path / "live" / "checkpoints").glob("[!.]*")))
    checkpoints.save(snapshot(2))
    sentence = r"live does not have it, or no longer: .*checkpoint\.keep_last"
    with pytest.raises(UserError, match=rf"player '{pinned}' is unknown.*{sentence}"):
        is_agent(pinned)
    with pytest.raises(UserError, match=sentence):
        load_agent(pinned)


def test_a_folder_without_an_agent_is_told(tmp_path):
    with pytest.raises(ValueError, match="is neither a checkpoint"):
        run_match(str(tmp_path), "random")


def test_a_run_that_has_just_started_is_told_from_a_mistyped_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    started = tmp_path / "runs" / "quick"
    started.mkdir(parents=True)
    (started / "config.yaml").touch()
    with pytest.raises(UserError, match=r"runs/quick has no checkpoint yet: .*steps_per_epoch"):
        load_agent("quick")
    with pytest.raises(UserError, match=r"'quikc' is unknown: .* Did you mean quick\?"):
        load_agent("quikc")


class WithoutSearch:
    """A board game's algorithm whose player knows no settings at all."""

    game = None

    def make_player(self, weights, name):
        return RandomPlayer(load_game("tic_tac_toe"))


def test_simulations_are_refused_where_the_plugins_player_does_not_search():
    agent = Agent("plain-s1-d1", "algorithm.plugin=x", WithoutSearch(), lambda game: None, {})
    assert agent.make_player().name == "random"
    with pytest.raises(ValueError, match=r"num_simulations=9 .*plain-s1-d1 does not search"):
        agent.make_player(9)


class WithoutPlayer(WithoutSearch):
    """Its make_player returns what is not a player, or raises."""

    def __init__(self, error=None):
        self.error = error

    def make_player(self, weights, name):
        if self.error is not None:
            raise self.error
        return name


def test_a_make_player_that_fails_is_one_sentence_that_names_the_plugin():
    def agent(*error):
        return Agent("x-s1-d1", "algorithm.plugin=x", WithoutPlayer(*error), lambda game: None, {})

    with pytest.raises(UserError, match=r"algorithm\.plugin=x: .*lacks name, uses_chance, choose:"):
        agent().make_player()
    with pytest.raises(
        UserError, match=r"algorithm\.plugin=x: make_player raises KeyError: 'w' \("
    ):
        agent(KeyError("w")).make_player()


def test_a_run_is_found_by_its_name_in_runs(run_dir, monkeypatch):
    monkeypatch.chdir(run_dir.parent.parent)
    assert is_agent("toy")
    assert is_agent("runs/toy")
    with pytest.raises(ValueError, match=r"player 'tay' is unknown: .*Did you mean toy\?"):
        is_agent("tay")


def test_a_mistyped_run_is_answered_with_the_nearest_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("quick", "quick_2", "snakes"):
        (tmp_path / "runs" / name / "checkpoints").mkdir(parents=True)
    with pytest.raises(UserError, match=r"Did you mean quick or quick_2\?"):
        any_game_of_players(["runs/quck"])
    with pytest.raises(UserError, match=r"The newest runs in runs/: .*quick_2"):
        any_game_of_players(["zebra"])


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("quick", ("quick", None)),
        ("quick:level3", ("quick", 3)),
        ("runs/quick@best:level9", ("runs/quick@best", 9)),
        ("a:level3/b", ("a:level3/b", None)),
        (":level3", (":level3", None)),
    ],
)
def test_a_level_is_the_end_of_a_players_name(text, parts):
    assert split_level(text) == parts


@pytest.mark.parametrize("level", ["0", "10", "", "3x", "²"])
def test_a_level_that_does_not_exist_is_told(level):
    with pytest.raises(UserError, match=r"is not a level: there are 1 .* to 9"):
        split_level(f"quick:level{level}")


def test_a_folder_with_such_a_name_is_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "quick:level3").mkdir()
    assert split_level("quick:level3") == ("quick:level3", None)


def test_a_level_of_a_player_that_does_not_search_as_long_as_it_is_asked_is_told(run_dir):
    with pytest.raises(UserError, match="levels are for agents that search"):
        parse_player(f"{run_dir}:level3", load_game("connect_four"))


def test_a_trained_agent_itself_has_no_level(run_dir):
    with pytest.raises(UserError, match=f"name {run_dir}, with --level"):
        load_agent(f"{run_dir}:level3")


def test_a_level_is_kept_when_its_run_is_pinned(run_dir):
    assert pinned_player(f"{run_dir}:level3") == f"{pinned_player(str(run_dir))}:level3"
    assert is_agent(f"{run_dir}:level3")
    with pytest.raises(UserError, match="applies to trained agents, and none plays here"):
        require_agent_that_searches([f"{run_dir}:level3", "random"], None, 5)
    require_agent_that_searches([f"{run_dir}:level9", "random"], None, 5)
