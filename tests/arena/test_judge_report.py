"""Facts about the output of `ddpzero judge`."""

from __future__ import annotations

import json

import pytest

from ddpzero.arena.judge_report import run_judge
from ddpzero.arena.players import RandomPlayer
from ddpzero.judges.packaged import POSITIONS_FOLDER

HARD = POSITIONS_FOLDER / "connect_four_hard.npz"
DOTS = POSITIONS_FOLDER / "dots_and_boxes_3x3.npz"


def test_prints_a_row_for_each_player(capsys):
    reports = run_judge(HARD, ["random", "rollout:50"])
    output = capsys.readouterr().out
    assert [report.player for report in reports] == ["random", "rollout:50"]
    for word in ("random", "rollout:50", "all 600", "600 matter", "any legal action", "49.6%"):
        assert word in output
    assert "best: no action wins sooner or loses later" in output


@pytest.mark.parametrize(("uses_chance", "is_told"), [(True, False), (False, True)])
def test_a_seed_without_effect_is_told(uses_chance, is_told, monkeypatch, capsys):
    def parse(text, game, num_simulations):
        player = RandomPlayer(game)
        # Not markup of the line that is shown meanwhile.
        player.name = "[/x]"
        player.uses_chance = uses_chance
        return player

    monkeypatch.setattr("ddpzero.arena.judge_report.parse_player", parse)
    run_judge(DOTS, ["random"], seed=4, as_json=True)
    sentence = "--seed 4 has no effect: these players use no chance.\n"
    step = "[/x] chooses in 500 positions ...\n"
    assert capsys.readouterr().err == step + (sentence if is_told else "")


def test_players_without_training_play_the_game_of_the_file(capsys):
    reports = run_judge(DOTS, ["random", "rollout:200"])
    assert reports[0].best.mean() < reports[1].best.mean()
    assert reports[0].keeps_outcome < reports[1].keeps_outcome
    output = capsys.readouterr().out
    lines = [line.split() for line in output.splitlines()]
    (any_action,) = (line for line in lines if "any" in line and "action" in line)
    assert [word for word in any_action if "%" in word] == ["73.8%", "45.5%", "44.7%"]
    assert "best: no action gains more boxes against perfect play" in output


def test_json_says_which_board(capsys):
    run_judge(DOTS, ["random"], as_json=True)
    figures = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {(figure["game"], figure["game.rows"]) for figure in figures} == {("dots_and_boxes", 3)}


def test_json_prints_figures_and_nothing_else(capsys):
    (report,) = run_judge(HARD, ["rollout:50"], as_json=True)
    figures = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    by_name = {figure["figure"]: figure for figure in figures}
    assert set(by_name) == {"keeps_outcome", "keeps_outcome_where_it_matters", "plays_best"}
    figure = by_name["keeps_outcome"]
    assert figure["bench"] == "judge"
    assert figure["game"] == "connect_four"
    assert figure["value"] == report.keeps_outcome
    assert figure["low"] < figure["value"] < figure["high"]
    assert figure["num_positions"] == 600


def test_a_file_that_is_not_there_is_told():
    with pytest.raises(ValueError, match=r"'nothing\.npz' is not a file"):
        run_judge("nothing.npz", ["random"])
    with pytest.raises(ValueError, match=r"folder/nothing\.npz cannot be read: No such file"):
        run_judge("folder/nothing.npz", ["random"])
