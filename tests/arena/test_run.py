"""Facts about what `ddpzero match` prints."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from ddpzero.arena.match import MatchResult
from ddpzero.arena.report import match_measurements, print_match
from ddpzero.arena.run import run_match
from ddpzero.arena.statistics import elo_text
from ddpzero.games import load_game


def result_of(returns, num_distinct_games=None) -> MatchResult:
    returns = np.array(returns, dtype=np.float32)
    num_plies = np.full(returns.shape, 20, np.int32)
    distinct = returns.size if num_distinct_games is None else num_distinct_games
    return MatchResult("a", "b", returns, num_plies, distinct, 1.0)


def test_the_table_shows_both_colors_and_the_sentence_the_score(capsys):
    game = load_game("tic_tac_toe")
    run_match("rollout:50", "random", game=game, num_games=20, seed=1)
    output = " ".join(capsys.readouterr().out.split())
    for word in (
        "rollout:50 against random",
        "first",
        "second",
        "both",
        "rollout:50 scores",
        "Elo",
    ):
        assert word in output


def test_json_prints_figures_and_nothing_else(capsys):
    game = load_game("connect_four", rows=5)
    result = run_match("rollout:50", "random", game=game, num_games=10, as_json=True)
    output = capsys.readouterr()
    figures = [json.loads(line) for line in output.out.splitlines()]
    assert output.err == ""
    score = figures[0]
    assert score["bench"] == "match"
    assert score["game"] == "connect_four"
    assert score["figure"] == "score"
    assert score["value"] == result.score()
    assert score["wins"] + score["draws"] + score["losses"] == score["num_games"] == 10
    assert score["player_b"] == "random"
    assert score["game.rows"] == 5


def test_a_match_without_a_lost_point_has_no_elo_figure():
    figures = match_measurements(result_of(np.ones((20, 2))), "connect_four", {})
    assert [figure.figure for figure in figures] == ["score"]


@pytest.mark.parametrize(
    ("elo", "low", "high", "text"),
    [
        (math.inf, -748.0, math.inf, "too few games for a difference in Elo"),
        (-math.inf, -math.inf, 748.0, "too few games for a difference in Elo"),
        (math.inf, 310.0, math.inf, "more than +310 Elo"),
        (-math.inf, -math.inf, -310.0, "less than -310 Elo"),
        (20.0, -math.inf, math.inf, "+20 Elo (too few games for an interval)"),
        (20.0, -math.inf, 90.0, "+20 Elo (95 %: less than +90)"),
        (20.0, -50.0, 90.0, "+20 Elo (-50 to +90)"),
    ],
)
def test_elo_is_told_as_far_as_the_games_know_it(elo, low, high, text):
    assert elo_text(elo, low, high) == text


def test_a_match_without_a_lost_point_tells_the_least_elo():
    sentence = str(result_of(np.ones((100, 2))))
    assert "a scores 100.0% (95 %: 97.1% to 100.0%) against b, more than" in sentence
    assert "inf" not in sentence
    sentence = str(result_of(-np.ones((100, 2))))
    assert "a scores 0.0% (95 %: 0.0% to 2.9%) against b, less than -" in sentence


def test_repeated_games_are_told():
    assert "differ" not in str(result_of([[1, 0], [1, -1]]))
    assert "Only 2 of the 4 games differ" in str(result_of([[1, 0], [1, 0]], 2))


def test_unknown_players_are_refused_with_what_is_allowed():
    game = load_game("tic_tac_toe")
    with pytest.raises(ValueError, match=r"player 'stockfish' is unknown.*rollout:N.*folder"):
        run_match("stockfish", "random", game=game)
    with pytest.raises(ValueError, match="player 'stockfish' is unknown"):
        run_match("random", "stockfish")


@pytest.mark.parametrize("text", ["rollout:", "rollout:0", "rollout:-5", "rollout:1e3"])
def test_a_rollout_player_needs_a_number_of_simulations(text):
    with pytest.raises(ValueError, match=r"is not a number of simulations.*rollout:1000"):
        run_match(text, "random", game=load_game("tic_tac_toe"))


def test_players_without_a_game_of_their_own_need_one():
    with pytest.raises(ValueError, match="can play any game: name one"):
        run_match("random", "rollout:10")


def test_names_that_look_like_markup_are_shown_as_they_are(capsys):
    print_match(replace(result_of([[1, 0], [1, -1]]), name_a="[/x]", name_b="[bold red]y"))
    output = capsys.readouterr().out
    assert output.startswith("[/x] against [bold red]y")
    assert "[/x] plays" in output and "[/x] scores" in output
