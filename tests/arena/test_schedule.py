"""Facts about which games the arena plays next."""

from __future__ import annotations

import numpy as np

from ddpzero.arena.match_blocks import BoardBlock, blocks_of_match
from ddpzero.arena.schedule import BLOCK_GAMES, Pairing, Task, next_task, pairings_of, tasks
from ddpzero.games import Game, load_game


def openings_of(game: Game, task: Task) -> np.ndarray:
    """The positions from which an arena worker plays a task, as arena/worker.py finds them."""
    blocks = blocks_of_match(game, task.match_games, task.seed, block_games=BLOCK_GAMES)
    block = blocks[task.number]
    assert isinstance(block, BoardBlock)
    return block.openings.positions


def test_a_model_meets_its_predecessor_the_fixed_opponents_and_a_model_from_the_middle():
    pairings = pairings_of("m5", ["m1", "m2", "m3", "m4"], ["rollout:100", "rollout:1000"], 40)
    assert [p.opponent for p in pairings] == ["m4", "rollout:100", "rollout:1000", "m3"]
    assert {(p.model, p.num_games) for p in pairings} == {("m5", 40)}


def test_the_first_models_meet_nobody_twice():
    assert [p.opponent for p in pairings_of("m1", [], ["random"], 40)] == ["random"]
    assert [p.opponent for p in pairings_of("m2", ["m1"], ["random"], 40)] == ["m1", "random"]


def test_the_blocks_of_a_pairing_are_all_its_games_from_different_openings():
    num_games = 2 * BLOCK_GAMES + 6
    blocks = list(tasks(Pairing("m2", "m1", num_games), seed=1))
    assert [block.num_games for block in blocks] == [BLOCK_GAMES, BLOCK_GAMES, 6]
    assert len({block.key for block in blocks}) == 3
    game = load_game("connect_four")
    openings = [openings_of(game, block) for block in blocks]
    assert list(map(len, openings)) == [BLOCK_GAMES // 2, BLOCK_GAMES // 2, 3]
    assert len(np.unique(np.concatenate(openings), axis=0)) == num_games // 2


def test_another_number_of_games_makes_other_blocks():
    few, many = ({task.key for task in tasks(Pairing("m2", "m1", n), seed=1)} for n in (40, 400))
    assert not few & many


def test_all_models_play_from_the_same_openings_against_one_opponent():
    seeds = [next(tasks(Pairing(model, "random", 40), 1)).seed for model in ("m1", "m2")]
    assert seeds[0] == seeds[1]
    assert seeds[0] != next(tasks(Pairing("m1", "random", 40), 2)).seed
    assert seeds[0] != next(tasks(Pairing("m1", "rollout:100", 40), 1)).seed


def test_no_block_is_played_twice():
    pairings, taken = pairings_of("m2", ["m1"], ["random"], 60), set()
    while task := next_task(pairings, 0, taken):
        assert task.key not in taken
        taken.add(task.key)
    assert len(taken) == 2 * 2
