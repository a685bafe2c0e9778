"""What `ddpzero games` says of a run's stored games, and what it finds wrong in forged ones."""

from __future__ import annotations

import copy
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console

from ddpzero.algorithms.loader import load_algorithm
from ddpzero.config.conversion import settings_to_dict
from ddpzero.config.hydra import compose_settings
from ddpzero.episodes.filters import GameFilter
from ddpzero.episodes.listing import names_of, table_of
from ddpzero.episodes.report import _print_statistics, run_games, run_verify_games
from ddpzero.episodes.source import EpisodeReader, StoredGame
from ddpzero.episodes.statistics import GameStatistics
from ddpzero.run.episode_store import EpisodeStore
from ddpzero.run.shard import read_shard, write_shard
from ddpzero.settings import Settings
from ddpzero.system.errors import UserError

TINY = (
    *("device=cpu", "network.blocks=1", "network.channels=8", "search.num_simulations=4"),
    *(
        "actors.num_games=4",
        "actors.precision=float32",
        "actors.min_effort=1",
        "actors.max_effort=1",
    ),
)


def play(settings: Settings, num_episodes: int) -> list[Any]:
    """Let the plugin's own actor play."""
    algorithm = load_algorithm(settings)
    updater = algorithm.make_updater(
        algorithm.make_networks(), lambda module: module, settings.learner, torch.device("cpu"), 1
    )
    weights = {name: value.numpy().copy() for name, value in updater.actor_weights().items()}
    actor = algorithm.actor_spec(settings.actors, "cpu").make(0, 0, seed=1)
    actor.receive(weights, 1)
    episodes: list[Any] = []
    while len(episodes) < num_episodes:
        episodes += actor.play()
    return episodes[:num_episodes]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Runs with stored games."""
    folder = tmp_path_factory.mktemp("runs")
    found = {}
    for name, overrides in {
        "tic_tac_toe": ("game=tic_tac_toe",),
        "go": ("game=go", "game.size=5", "game.max_plies=40", "loss.next_policy=0.5"),
        "connect_four": (
            *("game=connect_four", "algorithm.value_lambda=0.8", "loss.short_value=0.5"),
            *("algorithm.surprise_weight=0.5", "algorithm.full_search_fraction=0.5"),
            "algorithm.random_action_fraction=0",
        ),
    }.items():
        settings = compose_settings([*TINY, *overrides])
        description = {"run": name, "config": settings_to_dict(settings)}
        with EpisodeStore(folder / name / "episodes", 0, description) as store:
            for number, episode in enumerate(play(settings, 12)):
                store.model = f"{name}-s{number // 6}-d0"
                store.add(episode, is_held_out=False)
        (folder / name / "config.yaml").write_text("run_name: x")
        found[name] = folder / name
    return found


@pytest.fixture(params=["tic_tac_toe", "go", "connect_four"])
def run(request: pytest.FixtureRequest, runs: dict[str, Path]) -> Path:
    return runs[request.param]


ALL = GameFilter()


def records(run: Path, capsys: pytest.CaptureFixture[str], chosen: GameFilter = ALL) -> list[dict]:
    run_games(str(run), chosen, limit=1000, as_json=True)
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_games_of_the_plugins_own_actor_are_right(run, capsys):
    assert run_verify_games(str(run)) == 0
    assert "12 games with" in (output := capsys.readouterr().out)
    assert "in 1 file: no problems (" in output


def test_the_list_is_filtered(runs, capsys):
    run = runs["tic_tac_toe"]
    everything = records(run, capsys)
    assert [record["number"] for record in everything] == [*range(1, 13)]
    for chosen, keeps in [
        (GameFilter(model="-s1-"), lambda record: record["number"] > 6),
        (GameFilter(result="draw"), lambda record: record["result"] == "draw"),
        (GameFilter(result="first"), lambda record: record["result"] == "first"),
        (GameFilter(min_length=7, max_length=8), lambda record: 7 <= record["length"] <= 8),
    ]:
        assert records(run, capsys, chosen) == [r for r in everything if keeps(r)]
    run_games(str(run), ALL, limit=3)
    assert "the newest 3 of 12" in capsys.readouterr().out
    with pytest.raises(UserError, match="no game is as the options ask"):
        run_games(str(run), GameFilter(model="nobody"))


def test_a_game_is_shown_move_by_move_with_the_thoughts_of_its_search(runs, capsys):
    run = runs["tic_tac_toe"]
    record = records(run, capsys)[4]
    run_games(str(run), ALL, show=5)
    output = capsys.readouterr().out
    for ply, name in enumerate(record["moves"], start=1):
        assert f"{ply}. {name}" in output
    assert output.count("   value ") == record["num_samples"]
    assert f"{record['length']} plies; tic_tac_toe-s0-d0" in output
    with pytest.raises(
        UserError, match="--show 13: there are 12 games; give a number from 1 to 12"
    ):
        run_games(str(run), ALL, show=13)


def test_given_moves_and_proven_results_are_told(tmp_path, capsys):
    overrides = ("game=connect_four", "algorithm.play_out_fraction=0", "search.num_simulations=60")
    settings = compose_settings([*TINY, *overrides, "algorithm.opening_random_plies=8"])
    config = settings_to_dict(settings)
    with EpisodeStore(tmp_path / "episodes", 0, {"run": "four", "config": config}) as store:
        for episode in play(settings, 4):
            store.add(episode, is_held_out=False)
    (tmp_path / "config.yaml").write_text("run_name: x")
    run_games(str(tmp_path), ALL)
    assert ", proven" in capsys.readouterr().out
    for record in records(tmp_path, capsys):
        run_games(str(tmp_path), ALL, show=record["number"])
        given = capsys.readouterr().out.count("(not chosen by the search)")
        assert given == record["length"] - record["num_samples"]


def test_statistics_count_games_results_and_positions(runs, capsys):
    run = runs["tic_tac_toe"]
    everything = records(run, capsys)
    run_games(str(run), ALL, statistics=True, as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert (found["num_games"], sum(found["results"].values())) == (12, 12)
    lengths = [record["length"] for record in everything]
    assert found["mean_length"] == pytest.approx(np.mean(lengths))
    reached, different = found["positions_by_ply"]["4"]
    assert reached == 12
    boards = {
        (frozenset(record["moves"][:4:2]), frozenset(record["moves"][1:4:2]))
        for record in everything
    }
    assert different == len(boards)
    run_games(str(run), ALL, statistics=True)
    assert "12 games, " in capsys.readouterr().out


def test_games_are_exported_as_sgf_or_as_moves(runs, tmp_path, capsys):
    run_games(str(runs["go"]), ALL, export=str(tmp_path / "games.sgf"))
    text = (tmp_path / "games.sgf").read_text()
    assert text.count("(;FF[4]GM[1]SZ[5]KM[") == 12
    record = records(runs["go"], capsys)[0]
    assert text.splitlines()[1].count(";") == record["length"]
    run_games(str(runs["tic_tac_toe"]), ALL, export=str(tmp_path / "games.txt"))
    lines = (tmp_path / "games.txt").read_text().splitlines()
    record = records(runs["tic_tac_toe"], capsys)[-1]
    assert lines[-1].split("\t") == ["12", record["result"], " ".join(record["moves"])]
    with pytest.raises(UserError, match="this game has no SGF"):
        run_games(str(runs["tic_tac_toe"]), ALL, export=str(tmp_path / "games2.sgf"))
    with pytest.raises(UserError, match=r"ends in \.sgf"):
        run_games(str(runs["go"]), ALL, export="games.pgn")


def test_names_from_elsewhere_neither_command_a_terminal_nor_end_a_property(runs, tmp_path, capsys):
    (path,) = (runs["go"] / "episodes" / "rank0").glob("*.npz")
    shard = read_shard(path)
    for number, episode in enumerate(shard.episodes):
        shard.episodes[number] = replace(episode, model="a]b\\c\x1b[2J")
    write_shard(tmp_path / "1.npz", shard)
    run_games(str(tmp_path), ALL)
    run_games(str(tmp_path), ALL, show=1)
    assert "\x1b[2J" not in capsys.readouterr().out
    run_games(str(tmp_path), ALL, export=str(tmp_path / "games.sgf"))
    assert r"PB[a\]b\\c?[2J]PW[a\]b\\c?[2J]" in (tmp_path / "games.sgf").read_text()


@pytest.mark.parametrize("group", ["game", "algorithm"])
def test_a_folder_does_not_bring_the_code_that_reads_it(runs, tmp_path, monkeypatch, capsys, group):
    (path,) = (runs["tic_tac_toe"] / "episodes" / "rank0").glob("*.npz")
    shard = read_shard(path)
    config = copy.deepcopy(shard.description["config"])
    config[group]["source"] = "evil.py"
    write_shard(tmp_path / "1.npz", replace(shard, description={"config": config}))
    (tmp_path / "evil.py").write_text("open('was_here', 'w')")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=f"{group}.source=evil.py, which is no absolute path"):
        run_games(str(tmp_path), ALL)
    assert run_verify_games(str(tmp_path)) == 1
    assert f"{group}.source=evil.py" in capsys.readouterr().out
    assert not (tmp_path / "was_here").exists()


def test_a_folder_without_games_is_told(tmp_path):
    with pytest.raises(UserError, match=r"has no stored games: name a run, or a folder with files"):
        run_games(str(tmp_path), ALL)
    (tmp_path / "config.yaml").write_text("run_name: x")
    with pytest.raises(UserError, match="has no stored games: a run writes them to episodes/ with"):
        run_games(str(tmp_path), ALL)


def shown_lines(games: list[StoredGame], width: int) -> list[str]:
    output = io.StringIO()
    Console(file=output, width=width).print(table_of(games, width))
    return [line.rstrip() for line in output.getvalue().splitlines() if line.strip(" ─╶")]


@pytest.mark.parametrize("width", [50, 60, 80, 120, 1000])
def test_each_game_is_one_line_with_the_end_of_its_models_name(runs, width):
    (path,) = (runs["connect_four"] / "episodes" / "rank0").glob("*.npz")
    name = "nc_ttt-b2c32-s512000-d150179"
    games = [replace(game, model=name) for game in EpisodeReader().games([path])]
    heading, *lines = shown_lines(games, width)
    assert heading.split()[-3:] == ["model", "first", "moves"] or width < 60
    assert len(lines) == len(games) and max(map(len, lines)) <= width
    for game, line in zip(games, lines, strict=True):
        assert line.split()[0] == str(game.number)
        assert "-d150179 " in line and (name in line or width < 80)
        # Connect Four's shortest game has seven plies.
        shown = line.partition("-d150179")[2].split()
        assert shown[-1] == "…" and shown[:-1] == names_of(game)[: len(shown) - 1]
        assert len(shown) == 7 or width < 120


def test_a_list_that_a_program_reads_is_not_made_for_a_terminal(runs, tmp_path, capsys):
    (path,) = (runs["tic_tac_toe"] / "episodes" / "rank0").glob("*.npz")
    shard = read_shard(path)
    for number, episode in enumerate(shard.episodes):
        shard.episodes[number] = replace(episode, model="m" * 200)
    write_shard(tmp_path / "1.npz", shard)
    run_games(str(tmp_path), ALL)
    assert capsys.readouterr().out.count("m" * 200) == len(shard.episodes)


def test_a_list_of_damaged_files_says_what_names_all_of_them(runs, tmp_path):
    (path,) = (runs["tic_tac_toe"] / "episodes" / "rank0").glob("*.npz")
    (tmp_path / "1.npz").write_bytes(path.read_bytes()[:-100])
    for arguments in ({}, {"statistics": True}, {"show": 1}):
        with pytest.raises(
            UserError, match=rf"`ddpzero games verify {tmp_path}` names all damaged"
        ):
            run_games(str(tmp_path), ALL, **arguments)


def test_a_share_that_is_not_0_is_not_shown_as_0(capsys):
    found = GameStatistics(num_games=230_143, lengths=[5] * 230_143)
    found.results.update(first=230_071, draw=72)
    found.positions = {2: (230_143, 72), 4: (230_143, 230_143)}
    _print_statistics(found, as_json=False)
    output = capsys.readouterr().out
    assert "first player wins 100.0%, second player wins 0.0%, draws < 0.1%" in output
    assert [line.split()[3:] for line in output.splitlines()[-3:-1]] == [["<", "0.1%"], ["100.0%"]]


# ------------------------------------------------------------------------- forged


def illegal_move(shard: Any) -> None:
    moves = shard.episodes[3].info["moves"]
    moves[-1] = moves[0]


def other_result(shard: Any) -> None:
    info = shard.episodes[3].info
    info["first_player_return"] = -1.0 if info["first_player_return"] == 1.0 else 1.0
    info["score"] = 0


def cut_short(shard: Any) -> None:
    info = shard.episodes[3].info
    info["moves"] = info["moves"][:-1]


def other_position(shard: Any) -> None:
    row = shard.episodes[3].rows.start
    shard.columns["observation"][row] ^= 255


def left_out(shard: Any) -> None:
    rows = shard.episodes[3].rows
    shard.columns["observation"][rows][1:] = shard.columns["observation"][rows][:-1].copy()


def illegal_policy(shard: Any) -> None:
    rows = shard.episodes[3].rows
    policies = shard.columns["policy_target"][rows]
    policies[-1] = 0
    policies[-1, shard.episodes[3].info["moves"][0]] = 1


def no_distribution(shard: Any) -> None:
    shard.columns["policy_target"][shard.episodes[3].rows.start] = 0.3


def value_out_of_range(shard: Any) -> None:
    shard.columns["root_value"][shard.episodes[3].rows.start] = 7


def no_facts(shard: Any) -> None:
    del shard.episodes[3].info["first_player_return"]


def unknown_column(shard: Any) -> None:
    shard.columns["another"] = shard.columns["outcome"]


@pytest.mark.parametrize(
    ("forge", "problem"),
    [
        (illegal_move, "the episode 4 has an illegal move "),
        (other_result, "the episode 4 has "),
        (cut_short, "the episode 4 has damaged facts: its number of plies"),
        (other_position, "the episode 4 has a sample that does not show the position before its"),
        (left_out, "the episode 4 has a sample that does not show the position before its"),
        (illegal_policy, "the episode 4 has a policy_target that prefers an illegal move"),
        (no_distribution, "the episode 4 has a sample field policy_target has rows whose sum"),
        (value_out_of_range, "the episode 4 has a sample field root_value holds 7"),
        (no_facts, "the episode 4 has damaged facts: 'first_player_return'"),
        (unknown_column, "have unknown fields ['another']"),
    ],
)
def test_forged_games_are_found_and_named(runs, tmp_path, capsys, forge, problem):
    (path,) = (runs["tic_tac_toe"] / "episodes" / "rank0").glob("*.npz")
    shard = read_shard(path)
    forge(shard)
    write_shard(tmp_path / "1.npz", shard)
    assert run_verify_games(str(tmp_path)) == 1
    output = capsys.readouterr().out
    assert problem in output
    assert "in 1 file: 1 problem (" in output


def other_outcome(shard: Any, rows: slice) -> None:
    shard.columns["outcome"][rows.start] += (
        0.25 if shard.columns["outcome"][rows.start] < 0 else -0.25
    )


def other_draw(shard: Any, rows: slice) -> None:
    shard.columns["outcome_draw"][rows.start] = 0.4321


def other_score(shard: Any, rows: slice) -> None:
    shard.columns["score"][rows.start] += 1 if shard.columns["score"][rows.start] < 0 else -1


def other_owner(shard: Any, rows: slice) -> None:
    owners = shard.columns["ownership"][rows.start]
    owners[0] = 1 if owners[0] < 1 else 0


def not_played_out(shard: Any, rows: slice) -> None:
    shard.columns["is_played_out"][rows.start] ^= True


def other_next_policy(shard: Any, rows: slice) -> None:
    shard.columns["next_policy_target"][rows.start] = shard.columns["policy_target"][rows.start]


def searched_outcomes(shard: Any, rows: slice) -> None:
    """Each side is said to have won, by its search alone."""
    shard.columns["outcome"][rows] = shard.columns["root_value"][rows] = 0.9
    shard.columns["outcome_draw"][rows] = shard.columns["root_draw"][rows] = 0.05


def draw_of_the_search(shard: Any, rows: slice) -> None:
    """Its outcome is the result's."""
    shard.columns["outcome_draw"][rows] = shard.columns["root_draw"][rows]


def negative_policy(shard: Any, rows: slice) -> None:
    policies = shard.columns["policy_target"][rows]
    policy = policies[policies.any(axis=1).argmax()]
    least, most = policy.argmin(), policy.argmax()
    policy[most] += policy[least] + np.float16(0.005)
    policy[least] = np.float16(-0.005)


def larger_policy(shard: Any, rows: slice) -> None:
    policies = shard.columns["policy_target"][rows]
    policies[policies.any(axis=1).argmax()] *= np.float16(1.005)


def no_policy(shard: Any, rows: slice) -> None:
    shard.columns["policy_target"][rows.stop - 1] = 0


def other_surprise(shard: Any, rows: slice) -> None:
    shard.columns["surprise"][rows] *= 3


def negative_surprise(shard: Any, rows: slice) -> None:
    shard.columns["surprise"][rows.start] = -0.005


def other_lambda_value(shard: Any, rows: slice) -> None:
    value = shard.columns["lambda_value"][rows.start]
    shard.columns["lambda_value"][rows.start] += 0.01 if value < 0 else -0.01


def other_lambda_draw(shard: Any, rows: slice) -> None:
    shard.columns["lambda_draw"][rows.start] += 0.01


def other_short_value(shard: Any, rows: slice) -> None:
    shard.columns["short_value"][rows.stop - 1, 2] *= 0.5


def too_few_samples(shard: Any, rows: slice) -> None:
    """More moves before the first sample than are made of it."""
    info = next(episode.info for episode in shard.episodes if episode.rows == rows)
    info["restart_ply"] = len(info["moves"])


@pytest.mark.parametrize(
    ("game", "forge", "problem"),
    [
        ("go", other_outcome, "outcome is neither its result nor a value of its search"),
        ("go", other_draw, "outcome_draw is neither that of its result nor one of its search"),
        ("go", other_score, "has a sample with another score than its own"),
        ("go", other_owner, "has a sample with another ownership than its own"),
        ("go", not_played_out, "has a sample with another is_played_out"),
        ("go", other_next_policy, "next_policy_target that is not the policy_target of its next"),
        ("go", no_policy, "has a sample without a policy_target, which every search gives"),
        ("go", searched_outcomes, "samples whose outcome is a value of their search that nothing"),
        ("connect_four", searched_outcomes, "whose outcome is a value of their search that noth"),
        ("connect_four", draw_of_the_search, "takes its outcome, its draws and its score from"),
        ("go", larger_policy, "has a policy_target whose sum is not 1"),
        ("connect_four", negative_policy, "has a policy_target with a negative entry"),
        ("connect_four", other_surprise, "has surprises below 0, or whose mean is not 1"),
        ("connect_four", negative_surprise, "has surprises below 0, or whose mean is not 1"),
        ("connect_four", other_lambda_value, "lambda_value that is not the lambda-return of its"),
        ("connect_four", other_lambda_draw, "lambda_value that is not the lambda-return of its"),
        ("connect_four", other_short_value, "short_value that is not the lambda-return of its"),
        ("connect_four", too_few_samples, " samples of 0 plies"),
    ],
)
def test_forged_targets_are_found(runs, tmp_path, capsys, game, forge, problem):
    (path,) = (runs[game] / "episodes" / "rank0").glob("*.npz")
    shard = read_shard(path)
    known = [
        e for e in shard.episodes if e.info["score"] is not None and e.rows.stop - e.rows.start > 5
    ]
    forge(shard, known[0].rows)
    write_shard(tmp_path / "1.npz", shard)
    assert run_verify_games(str(tmp_path)) == 1
    assert problem in capsys.readouterr().out


def test_a_damaged_file_is_named_and_the_others_are_verified(runs, tmp_path, capsys):
    (path,) = (runs["tic_tac_toe"] / "episodes" / "rank0").glob("*.npz")
    (tmp_path / "1.npz").write_bytes(path.read_bytes()[:-100])
    (tmp_path / "2.npz").write_bytes(path.read_bytes())
    assert run_verify_games(str(tmp_path)) == 1
    output = capsys.readouterr().out
    assert f"{tmp_path / '1.npz'} cannot be read" in output
    assert "12 games with" in output
