"""What `import ddpzero` offers, on runs with untrained networks; the examples of its pages run as they are written."""

from __future__ import annotations

import ast
import os
import pickle
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import psutil
import pytest
import torch
from torch.utils.data import DataLoader

import ddpzero
from ddpzero.algorithms.loader import load_algorithm
from ddpzero.api import training
from ddpzero.config.conversion import settings_to_dict
from ddpzero.config.hydra import compose_settings
from ddpzero.run.episode_store import EpisodeStore
from ddpzero.run.ranks import join_ranks
from ddpzero.system.failures import RunFailed
from tests.episodes.test_games import TINY, play
from tests.places import REPO
from tests.run.checkpointed_runs import saved_run, snapshot
from tests.waiting import wait_for

GAMES = ("tic_tac_toe", "connect_four", "gomoku", "othello", "hex", "dots_and_boxes", "go")
OWN_GAME = REPO / "tests" / "data" / "games" / "pairs.py"


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """A folder with runs of untrained networks and their stored games."""
    folder = tmp_path_factory.mktemp("runs")
    for name, overrides in {
        "tic_tac_toe": ("game=tic_tac_toe",),
        "go": (
            "game=go",
            "game.size=5",
            "game.max_plies=40",
            "loss.score=0.1",
            "loss.ownership=0.1",
        ),
    }.items():
        settings = compose_settings([*TINY, *overrides])
        config = settings_to_dict(settings)
        torch.manual_seed(1)
        weights = load_algorithm(settings).make_networks()["network"].state_dict()
        with join_ranks("cpu") as ranks:
            checkpoints = saved_run(folder / name, ranks)
            assert checkpoints.save(snapshot(1, weights=weights, config=config)) is not None
        with EpisodeStore(folder / name / "episodes", 0, {"run": name, "config": config}) as store:
            for number, episode in enumerate(play(settings, 8)):
                store.model = f"{name}-{number // 4}"
                store.add(episode, is_held_out=False)
                if number == 3:
                    store.flush()
    return folder


@pytest.fixture
def agent(runs) -> ddpzero.Agent:
    return ddpzero.load(runs / "tic_tac_toe", device="cpu")


@pytest.fixture
def go(runs) -> ddpzero.Agent:
    return ddpzero.load(runs / "go", device="cpu")


# ------------------------------------------------------------------ the module


def test_importing_it_loads_nothing_else():
    code = "import sys, ddpzero; print(ddpzero.__version__, *sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True, check=True
    )
    version, *modules = done.stdout.split()
    assert version == ddpzero.__version__
    assert not {"numpy", "torch", "numba", "hydra"} & set(modules)
    assert [name for name in modules if name.startswith("ddpzero")] == ["ddpzero"]


def test_its_names_are_those_that_type_checkers_see():
    stub = ast.parse((REPO / "ddpzero" / "__init__.pyi").read_text())
    imported = {
        alias.asname: node.module
        for node in stub.body
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("ddpzero.")
        for alias in node.names
    }
    assert imported == ddpzero._MODULES
    assert sorted([*imported, "__version__"]) == sorted(ddpzero.__all__) == dir(ddpzero)
    assert (REPO / "ddpzero" / "py.typed").exists()
    for name in ddpzero.__all__:
        assert getattr(ddpzero, name).__doc__
    with pytest.raises(AttributeError, match="no attribute 'loads'"):
        _ = ddpzero.loads  # type: ignore[attr-defined]


# ------------------------------------------------------------------ positions


def test_a_position_is_played_by_names_and_never_changes():
    start = ddpzero.Position(ddpzero.load_game("tic_tac_toe"))
    assert start.current_player == 0 and len(start.legal_moves) == 9 and start.returns is None
    after = start.play("b2")
    assert after.current_player == 1 and after.moves == ("b2",) and "b2" not in after.legal_moves
    assert after.play(after.legal_actions[0]).parent is after
    assert start.moves == () and start.board.sum() == 0
    with pytest.raises(AttributeError, match="never changes"):
        start.game = None
    with pytest.raises(ValueError, match="read-only"):
        start.array[0] = 1
    end = ddpzero.Position(start.game, "a1 b1 a2 b2 a3")
    assert end.is_over and end.returns == (1.0, -1.0) and end.legal_moves == ()
    assert [p.moves for p in end.history()][:2] == [(), ("a1",)] and len(list(end.history())) == 6
    assert "X" in str(end) and repr(after) == "<Position of tic_tac_toe: b2>"


def test_a_game_of_ones_own_is_the_path_of_its_file(tmp_path, monkeypatch):
    (tmp_path / "my_game.py").write_text(OWN_GAME.read_text())
    monkeypatch.chdir(tmp_path)
    game = ddpzero.load_game("my_game.py")
    # Whoever plays it later may be in another folder.
    assert (game.name, game.source) == ("my_game", str(tmp_path / "my_game.py"))


def test_positions_are_equal_if_the_rules_cannot_tell_them_apart():
    game, other = ddpzero.load_game("tic_tac_toe"), ddpzero.load_game("tic_tac_toe")
    one, same = ddpzero.Position(game, "a1 b2 c3"), ddpzero.Position(other, ["c3", "b2", "a1"])
    assert one == same and hash(one) == hash(same) and one != one.play("a2") and one != "a1"
    assert ddpzero.Position(ddpzero.load_game("gomoku", size=9)) != ddpzero.Position(
        ddpzero.load_game("gomoku", size=10)
    )
    again = pickle.loads(pickle.dumps(one))
    assert again == one and again.moves == one.moves


@pytest.mark.parametrize(
    ("play", "sentence"),
    [
        (lambda p: p.play("a1"), "'a1' is not legal here. Legal moves: a3 b3 c3 "),
        (lambda p: p.play("z9"), "'z9' is no move of tic_tac_toe"),
        (lambda p: p.play(9), "9 is not legal here"),
        (lambda p: p.play(None), "None is no move"),
        (lambda p: p.play(3.7), "3.7 is no move"),
        (lambda p: p.play(True), "True is no move"),
        (lambda p: ddpzero.Position(p.game, "a1 b1 a2 b2 a3 c3"), "'c3' cannot be played: this"),
        (lambda p: ddpzero.Position("gomoku"), "the game must be one of two players"),
        (lambda p: ddpzero.load_game("gomoko"), "is not a game of ddpzero: there are connect_four"),
        (lambda p: ddpzero.load_game("gomoku", size=99), "game.size=99 is outside 3..25"),
        (lambda p: ddpzero.load_game("gomoku", sise=9), "game.sise is not a parameter of gomoku"),
        (lambda p: ddpzero.load_game("none.py"), "none.py is not a file"),
        (lambda p: ddpzero.load_game("snakes"), "snakes is a team game"),
    ],
)
def test_a_mistake_with_a_position_is_a_sentence(play, sentence):
    position = ddpzero.Position(ddpzero.load_game("tic_tac_toe"), "a1")
    with pytest.raises(ddpzero.UserError) as caught:
        play(position)
    assert sentence in str(caught.value)


@pytest.mark.parametrize("name", [*GAMES, str(OWN_GAME)])
def test_a_position_of_every_game_is_drawn(name):
    rng = np.random.default_rng(0)
    position = ddpzero.Position(ddpzero.load_game(name))
    while not position.is_over:
        before = picture(position)
        position = position.play(int(rng.choice(position.legal_actions)))
        assert picture(position) != before
        if len(position.actions) == 8:
            break
    _, _, width, height = map(
        float, ElementTree.fromstring(picture(position)).attrib["viewBox"].split()
    )
    assert width >= position.game.geometry.width and height >= position.game.geometry.height


def picture(position: ddpzero.Position) -> str:
    text = position._repr_svg_()
    assert ElementTree.fromstring(text).tag.endswith("svg")
    return text


def test_the_picture_shows_pieces_the_last_move_and_the_winning_line():
    game = ddpzero.load_game("connect_four")
    one = picture(ddpzero.Position(game, "d"))
    # A red disc in the lowest cell of column d, with the mark of the last move on it.
    assert 'circle cx="3.5" cy="5.5" r="0.42" fill="#d8433b"' in one
    assert 'circle cx="3.5" cy="5.5" r="0.12" fill="#10b7a5"' in one
    won = picture(ddpzero.Position(game, "a b a b a b a"))
    assert won.count('r="0.3" fill="none" stroke="#10b7a5"') == 4


# ------------------------------------------------------------------ agents


def test_the_network_alone_says_what_it_expects(go):
    position = go.position("C3 D3")
    found = go.evaluate(position)
    assert set(found.policy) == set(position.legal_moves) and found.best == next(iter(found.policy))
    assert list(found.policy.values()) == sorted(found.policy.values(), reverse=True)
    assert sum(found.policy.values()) == pytest.approx(1.0, abs=1e-5)
    assert sum(found.wdl) == pytest.approx(1.0, abs=1e-5)
    assert found.value == pytest.approx(found.wdl[0] - found.wdl[2], abs=1e-5)
    assert found.score is not None and abs(found.score) <= go.game.spec.max_score
    assert found.ownership is not None and found.ownership.shape == (25,)
    assert np.abs(found.ownership).max() <= 1.0
    # The same as the search says of the position before its first simulation.
    searched = go.search(position, simulations=0)
    priors = {move.name: move.prior for move in searched.moves}
    assert priors == pytest.approx(found.policy, abs=1e-4)
    assert searched.score == pytest.approx(found.score, abs=1e-4)
    assert searched.ownership == pytest.approx(found.ownership, abs=1e-4)


def test_many_positions_are_evaluated_at_once(agent):
    end = ddpzero.Position(agent.game, "a1 b1 a2 b2 a3")
    positions = list(end.history())[:-1]
    found = agent.evaluate_batch(positions)
    assert found.policy.shape == (5, 9) and found.value.shape == (5,) and found.wdl.shape == (5, 3)
    assert found.score is None and found.ownership is None
    for row, position in enumerate(positions):
        one = agent.evaluate(position)
        assert one.value == pytest.approx(found.value[row], abs=1e-5)
        policy = [one.policy.get(agent.game.action_name(a), 0.0) for a in range(9)]
        assert policy == pytest.approx(found.policy[row], abs=1e-5)
    arrays = np.stack([position.array for position in positions])
    assert np.allclose(agent.evaluate_batch(arrays).policy, found.policy, atol=1e-6)
    # More than one batch of the network.
    many = agent.evaluate_batch(np.repeat(arrays, 60, axis=0))
    assert np.allclose(many.policy, np.repeat(found.policy, 60, axis=0), atol=1e-5)


def test_a_search_finds_the_win_and_says_its_line(agent):
    position = agent.position("a1 b1 a2 b2")
    found = agent.search(position, simulations=200)
    assert found.best == "a3" == found.moves[0].name == found.moves[0].line[0]
    assert found.value > 0.9 and found.is_proven and found.moves[0].is_proven
    assert agent.choose(position, simulations=200) == "a3"
    other = agent.search(agent.position(), simulations=50)
    assert other.visits == 50 == sum(move.visits for move in other.moves)
    assert sum(other.policy.values()) == pytest.approx(1.0)
    # Each search begins anew.
    assert agent.search(agent.position(), simulations=20).visits == 20
    assert agent.search(agent.position(), seconds=0.05).visits > 1
    # By default as many simulations as its config says.
    assert agent.search(agent.position()).visits == 4


def test_what_was_found_is_shown_as_text_and_in_a_notebook(agent):
    found = agent.search(agent.position("b2"), simulations=30)
    assert found.best in str(found).splitlines()[2] and "30 visits" in str(found)
    assert repr(found).startswith(f"<SearchResult: {found.best}, value")
    assert f"<td>{found.best}</td>" in found._repr_html_() and "<svg" in found._repr_html_()
    shown = f">{100 * found.policy[found.best]:.0f}</text>"
    assert shown in found.svg()
    evaluation = agent.evaluate(found.position)
    assert "win" in str(evaluation) and "<svg" in evaluation._repr_html_()


def test_an_interrupted_search_leaves_the_agent_usable(agent, monkeypatch):
    agent.search(agent.position(), simulations=10)

    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("ddpzero.play.engine.Engine.think", interrupt)
        with pytest.raises(KeyboardInterrupt):
            agent.search(agent.position("b2"), simulations=10)
    assert agent.search(agent.position("a1"), simulations=10).visits == 10


def test_players_without_training_are_agents_too(agent):
    rollouts = ddpzero.load("rollout:200", game=agent.game)
    position = agent.position("a1 b1 a2 b2")
    assert rollouts.choose(position) == "a3" and rollouts.search(position).value > 0.5
    random = ddpzero.load("random", game=agent.game)
    assert random.choose(position) in position.legal_moves


def test_an_agent_plays_another_board_if_its_network_fits(runs):
    larger = ddpzero.load_game("go", size=6, max_plies=40)
    agent = ddpzero.load(runs / "go", game=larger, device="cpu")
    start = ddpzero.Position(larger)
    assert agent.game is larger and agent.evaluate(start).policy.keys() == {*start.legal_moves}
    with pytest.raises(ddpzero.UserError, match="does not fit gomoku"):
        ddpzero.load(runs / "go", game=ddpzero.load_game("gomoku"))


def with_random(agent: ddpzero.Agent) -> ddpzero.Agent:
    return ddpzero.load("random", game=agent.game)


@pytest.mark.parametrize(
    ("ask", "sentence"),
    [
        (lambda a: ddpzero.load("no_such_run"), "no such folder"),
        (lambda a: ddpzero.load("rollout:10"), "this player can play any game: name one"),
        (lambda a: a.search("b2"), "'b2' is not a Position"),
        (lambda a: a.search(a.position(), simulations=-1), "simulations=-1 must be a whole"),
        (lambda a: a.search(a.position(), simulations=10.5), "simulations=10.5 must be a whole"),
        (lambda a: a.search(a.position(), simulations="10"), "simulations='10' must be a whole"),
        (lambda a: a.search(a.position(), seconds=float("inf")), "seconds=inf must be a number"),
        (lambda a: a.search(a.position(), seconds=float("nan")), "seconds=nan must be a number"),
        (lambda a: a.player(simulations=2.0), "simulations=2.0 must be a whole number"),
        (lambda a: a.search(a.position("a1 b1 a2 b2 a3")), "this game of tic_tac_toe is over"),
        (lambda a: a.evaluate_batch([]), "at least one position"),
        (lambda a: a.evaluate_batch(np.zeros((2, 3))), "positions of tic_tac_toe are"),
        (
            lambda a: a.evaluate(ddpzero.Position(ddpzero.load_game("connect_four"))),
            "this is a position of connect_four with rows=6",
        ),
        (lambda a: with_random(a).search(a.position()), "random only chooses moves"),
        (lambda a: with_random(a).evaluate(a.position()), "says nothing about positions without"),
        (lambda a: with_random(a).choose(a.position(), seconds=1), "random does not search"),
        (
            lambda a: ddpzero.load("rollout:9", game=a.game).search(a.position(), seconds=1),
            "rollout:9 does not search for as long as it is told",
        ),
        (
            lambda a: ddpzero.play_game(with_random(a), with_random(a), simulations=5),
            "none plays here (random, random)",
        ),
        (lambda a: ddpzero.match(with_random(a), "random", simulations=5), "none plays here"),
        (lambda a: ddpzero.match(a, "random", games=3), "must be even"),
        (lambda a: ddpzero.match(a, "random", games=2.0), "games=2.0 must be a whole number"),
        (lambda a: ddpzero.match(a, "random", seed="x"), "seed='x' must be a whole number"),
        (
            lambda a: ddpzero.match(a, "random", game=ddpzero.load_game("connect_four")),
            "the game here is connect_four",
        ),
    ],
)
def test_a_mistake_with_an_agent_is_a_sentence(agent, ask, sentence):
    with pytest.raises(ddpzero.UserError) as caught:
        ask(agent)
    assert sentence in str(caught.value)


def test_an_agent_of_a_team_game_says_what_it_can(runs):
    from ddpzero.api.agent import agent_of
    from ddpzero.games import load_any_game

    snakes = agent_of("greedy", load_any_game("snakes"), None)
    with pytest.raises(
        ddpzero.UserError, match=r"greedy plays the team game snakes.*ddpzero\.match"
    ):
        snakes.position()


# ------------------------------------------------------------------ games and matches


def test_a_game_between_two_agents_ends_with_its_result(agent):
    end = ddpzero.play_game(agent, "rollout:50", simulations=20)
    assert end.is_over and end.returns in ((1.0, -1.0), (0.0, 0.0), (-1.0, 1.0))
    assert ddpzero.play_game(agent, "rollout:50", simulations=20) == end
    start = agent.position("a1 b2")
    assert ddpzero.play_game("rollout:50", "random", start=start).moves[:2] == ("a1", "b2")


def test_a_match_is_the_one_of_the_command(agent, runs):
    from ddpzero.arena.run import run_match

    result = ddpzero.match(agent, "rollout:20", games=6, simulations=4, seed=3)
    run = str(runs / "tic_tac_toe")
    expected = run_match(run, "rollout:20", num_games=6, num_simulations=4, seed=3)
    assert np.array_equal(result.returns, expected.returns)
    assert np.array_equal(result.num_plies, expected.num_plies)
    assert "in 6 games of" in str(result) and repr(result).startswith("<MatchResult: ")


# ------------------------------------------------------------------ stored games


def test_stored_games_are_read_with_their_moves_and_samples(runs):
    episodes = list(ddpzero.load_episodes(runs / "tic_tac_toe"))
    assert [episode.number for episode in episodes] == list(range(1, 9))
    for episode in episodes:
        end = episode.final_position
        assert end.is_over and end.moves == episode.moves and end.returns == episode.returns
        assert len(end.moves) == episode.length
        samples = episode.samples
        assert samples["policy_target"].shape == (len(samples["observation"]), 9)
        shown = {end.game.packed_observation(p.array).tobytes() for p in end.history()}
        assert all(row.tobytes() in shown for row in samples["observation"])
    assert {episode.model for episode in episodes} == {"tic_tac_toe-0", "tic_tac_toe-1"}


def test_samples_are_arrays_by_the_names_of_their_spec(runs):
    episodes = ddpzero.load_episodes(runs / "tic_tac_toe")
    every = episodes.samples()
    of_each = [episode.samples for episode in episodes]
    assert every.keys() == episodes.spec.keys() == of_each[0].keys()
    for name, column in every.items():
        assert np.array_equal(column, np.concatenate([samples[name] for samples in of_each]))
    newest = episodes.samples(max_samples=5)
    assert np.array_equal(newest["outcome"], every["outcome"][-5:])
    planes = episodes.planes(newest["observation"])
    game = ddpzero.load_game("tic_tac_toe")
    assert planes.shape == (5, game.num_inputs, 3, 3) and set(np.unique(planes)) == {0, 1}
    with pytest.raises(ddpzero.UserError, match="max_samples=0 must be a whole number"):
        episodes.samples(max_samples=0)
    with pytest.raises(ddpzero.UserError, match="observations are uint8"):
        episodes.planes(newest["outcome"])
    with pytest.raises(ddpzero.UserError, match="neither a run nor a folder"):
        ddpzero.load_episodes("no_such_run")


def test_a_data_loader_makes_batches_of_them(runs):
    episodes = ddpzero.load_episodes(runs / "go")
    samples, dataset = episodes.samples(), episodes.dataset()
    assert len(dataset) == len(samples["outcome"])
    assert torch.equal(dataset[1]["policy_target"], torch.from_numpy(samples["policy_target"][1]))
    with pytest.raises(IndexError):
        dataset[len(dataset)]
    rows = 0
    for batch in DataLoader(dataset, batch_size=16):
        of_batch = slice(rows, rows + len(batch["outcome"]))
        expected = episodes.planes(samples["observation"][of_batch])
        assert np.array_equal(batch["observation"].numpy(), expected)
        assert np.array_equal(batch["ownership"].numpy(), samples["ownership"][of_batch])
        rows = of_batch.stop
    assert rows == len(dataset)


# ------------------------------------------------------------------ training

_SHORT = (
    *TINY,
    *("actors.num_actors=1", "actors.num_games=8", "replay.min_samples=50", "arena.num_workers=0"),
    *("learner.batch_size=16", "replay.capacity=2000", "learner.steps_per_epoch=3"),
)


@pytest.mark.slow
def test_a_game_of_ones_own_is_trained_without_a_yaml_file(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    game = ddpzero.load_game(OWN_GAME)
    run = ddpzero.train([*_SHORT, "run_name=mine", "learner.max_epochs=1"], game=game)
    assert run == Path("runs/mine") and "learner.max_epochs=1 is reached" in capsys.readouterr().out
    agent = ddpzero.load(run, device="cpu")
    assert agent.game.source == str(OWN_GAME)
    assert agent.choose(agent.position(), simulations=4) in agent.position().legal_moves
    with pytest.raises(ddpzero.UserError, match="Choose another run_name"):
        ddpzero.train([*_SHORT, "run_name=mine", "network.blocks=2"], game=game)


def test_a_training_that_cannot_begin_is_a_sentence(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ddpzero.UserError, match="does not exist"):
        ddpzero.train(["+experiment=none"])
    with pytest.raises(ddpzero.UserError, match="'--multirun' is not a setting"):
        ddpzero.train(["--multirun"])
    with pytest.raises(ddpzero.UserError, match="name two games"):
        ddpzero.train(["game=go"], game=ddpzero.load_game("tic_tac_toe"))
    assert not list(tmp_path.iterdir())


def test_a_failed_training_raises_what_it_said(monkeypatch, capsys):
    def command(code, text):
        return lambda *_: training._run([sys.executable, "-c", f"print({text!r}); exit({code})"])

    assert command(1, "a line\nddpzero: it broke\n  here")() == (1, "it broke\n  here")
    assert capsys.readouterr().out == "a line\nddpzero: it broke\n  here\n"
    monkeypatch.setattr(training, "_run", lambda command: (1, "it broke"))
    with pytest.raises(RunFailed, match="it broke"):
        ddpzero.train([*_SHORT, "game=tic_tac_toe"])
    monkeypatch.setattr(training, "_run", lambda command: (2, "not so"))
    with pytest.raises(ddpzero.UserError, match="not so"):
        ddpzero.train([*_SHORT, "game=tic_tac_toe"])


# A process that says when it listens, and ends after so many interrupts.
_LISTENER = """
import signal, sys, time
left = int(sys.argv[1])
def interrupted(*_):
    global left
    left -= 1
    open(sys.argv[2] + ".heard", "w").close()
    if left == 0: sys.exit(0)
signal.signal(signal.SIGINT, interrupted)
open(sys.argv[2], "w").close()
while True: time.sleep(0.01)
"""


@pytest.mark.parametrize(("needed", "returns"), [(1, True), (9, False)])
def test_an_interrupt_ends_a_training_and_a_second_one_the_call(needed, returns, tmp_path, capfd):
    """One is passed on, and the call returns; after a second one nothing of the training is left."""
    listens, heard = tmp_path / "listens", tmp_path / "listens.heard"
    command = [sys.executable, "-c", _LISTENER, str(needed), str(listens)]

    def interrupt():
        wait_for(listens.exists)
        os.kill(os.getpid(), signal.SIGINT)
        wait_for(heard.exists)
        if not returns:
            os.kill(os.getpid(), signal.SIGINT)

    signal.signal(signal.SIGINT, signal.default_int_handler)
    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        if returns:
            assert training._run(command) == (0, "")
        else:
            with pytest.raises(KeyboardInterrupt):
                training._run(command)
    finally:
        thread.join()
    assert "interrupted: the training saves" in capfd.readouterr().out
    left = [process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"])]
    assert not any(str(listens) in words for words in left)


# ------------------------------------------------------------------ examples


@pytest.mark.slow
def test_the_examples_run_as_they_are_written(tmp_path):
    """Those of the front page, which train an agent, and then those of the page about Python."""
    output = run_blocks(REPO / "README.md", tmp_path)
    assert "learner.max_minutes=0.2 is reached" in output
    assert "scores" in run_blocks(REPO / "ddpzero" / "api" / "README.md", tmp_path)


def run_blocks(page: Path, folder: Path) -> str:
    """Run all Python of a page as one script without a guard; return what it printed."""
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    (folder / "example.py").write_text("\n".join(blocks))
    done = subprocess.run(
        [sys.executable, "example.py"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(REPO)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    assert blocks and done.returncode == 0, done.stdout[-4000:]
    return done.stdout
