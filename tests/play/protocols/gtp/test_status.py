"""Facts about stones that are dead, scores, and positions that are set up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ddpzero.games import load_game
from ddpzero.play.thinkers import AnalystThinker
from tests.play.protocols.gtp.scripted import Conversation, FirstMovePlayer


@pytest.fixture(scope="module")
def go():
    return load_game("go", size=5, komi=0.5)


class OwningThinker(AnalystThinker):
    """Expects all points of a board to be black's."""

    def thoughts(self):
        sign = 1 if self._game.current_player(self._position) == 0 else -1
        owners = np.full(self._game.num_cells, 0.9 * sign, np.float32)
        return replace(super().thoughts(), ownership=owners)


class OwningPlayer(FirstMovePlayer):
    def make_thinker(self, max_simulations):
        return OwningThinker(self, self._game)

    def thinker_size_bytes(self, max_simulations):
        return 0


@pytest.mark.parametrize("passes", [("b", "w"), ("w", "b"), ()])
def test_stones_that_the_network_holds_for_dead_are_listed_after_the_end_as_before_it(go, passes):
    talk = Conversation(go, make_player=OwningPlayer)
    for move in ("b c3", "b c4", "w e1", "w a5", "b c2"):
        talk.say(f"play {move}")
    if passes[:1] == ("b",):
        talk.say("play w a4")
    for color in passes:
        talk.say(f"play {color} pass")
    assert talk.session.table.episode.is_over == bool(passes)
    num_moves = len(talk.session.table.moves)
    dead = talk.say("final_status_list dead")[2:].split()
    assert sorted(dead) == sorted(["E1", "A5", *(["A4"] if passes[:1] == ("b",) else [])])
    assert talk.say("final_status_list alive") == "= C2 C3 C4\n\n"
    assert talk.say("final_status_list seki") == "=\n\n"
    # The rules count what is on the board, and nothing was changed.
    assert len(talk.session.table.moves) == num_moves
    assert talk.session.table.episode.is_over == bool(passes)
    on_board = 3 - len(dead)
    assert talk.say("final_score") == f"= {'BW'[on_board < 0.5]}+{abs(on_board - 0.5):.1f}\n\n"


def test_a_score_has_one_decimal_as_that_of_gnu_go():
    talk = Conversation(load_game("go", size=5, komi=7))
    assert talk.say("final_score") == "= W+7.0\n\n"
    talk.say("komi 0.5")
    assert talk.say("final_score") == "= W+0.5\n\n"
    talk.say("komi 0")
    assert talk.say("final_score") == "= 0\n\n"
