"""Judgments of an ablation: what is refused before the first training, and how a model is judged."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ddpzero.arena.players import RandomPlayer
from ddpzero.bench.ablation import verdicts as verdicts_module
from ddpzero.bench.ablation.experiment import Judge, PositionsJudge, experiment_from
from ddpzero.bench.ablation.plan import Plan, prepare
from ddpzero.bench.ablation.verdicts import verdicts
from ddpzero.games import load_game
from ddpzero.system.errors import UserError
from tests.places import REINFORCE

OTHER_GAME = {"base": [], "other": ["game=connect_four"]}
OWN = {"base": [], "own": ["algorithm=own", f"algorithm.source={REINFORCE}"]}
SNAKES = {"base": ["game=snakes", "algorithm=ddpg"]}


def plan(variants: dict[str, Any], judge: dict[str, Any]) -> Plan:
    given = {"base": "game=tic_tac_toe", "variants": variants, "minutes": 1, "judge": judge}
    return prepare(experiment_from(given))


@pytest.mark.parametrize(
    ("variants", "judge", "sentence"),
    [
        (
            OTHER_GAME,
            {"positions": {"files": "tic_tac_toe"}},
            "^variant other: .* has positions of tic_tac_toe, but the game here is connect_four",
        ),
        (
            OTHER_GAME,
            {"matches": {"opponents": "base"}},
            "^variant other: judge.matches.opponents: base is trained on tic_tac_toe, but this variant plays connect_f",
        ),
        (
            OWN,
            {"matches": {"opponents": "random", "simulations": 8}},
            "^variant own: judge.matches.simulations=8: the player of this algorithm does not search",
        ),
        (
            SNAKES,
            {"matches": {"opponents": "greedy", "simulations": 8}},
            "^variant base: judge.matches.simulations=8: .* do(es)? not search; remove it",
        ),
        (
            SNAKES,
            {"positions": {"files": "tic_tac_toe"}},
            "^variant base: judge.positions: there are no solved positions of the team game snakes",
        ),
        (
            {"base": []},
            {"matches": {"opponents": "nobody"}},
            "^variant base: player 'nobody' is unknown",
        ),
    ],
)
def test_a_judge_that_does_not_fit_a_variant_is_refused_before_the_first_training(
    variants, judge, sentence
):
    with pytest.raises(UserError, match=sentence):
        plan(variants, judge)


def test_variants_may_differ_in_game_if_no_judgment_compares_them_in_play():
    assert set(plan(OTHER_GAME, {"matches": {"opponents": "random"}}).settings) == {"base", "other"}


def test_an_algorithm_that_does_not_search_is_judged_once_as_the_network_alone(monkeypatch):
    assert plan(OWN, {"positions": {"files": "tic_tac_toe"}}).settings
    game = load_game("tic_tac_toe")
    asked: list[int | None] = []

    def make_player(num_simulations: int | None) -> RandomPlayer:
        asked.append(num_simulations)
        return RandomPlayer(game)

    agent = SimpleNamespace(game=game, can_search=False, make_player=make_player)
    monkeypatch.setattr(verdicts_module, "load_agent", lambda path: agent)
    judge = Judge(PositionsJudge(("tic_tac_toe",), (0, 64)))
    found = list(verdicts(Path("model"), judge, 0, None))
    assert asked == [None]
    assert {verdict.simulations for verdict in found} == {0}
