"""Facts about which games the arena plays next."""

from __future__ import annotations

from ddpzero.arena.schedule import BLOCK_GAMES, Pairing, next_task, pairings_of, tasks


def test_a_model_meets_its_predecessor_the_fixed_opponents_and_a_model_from_the_middle():
    pairings = pairings_of("m5", ["m1", "m2", "m3", "m4"], ["rollout:100", "rollout:1000"], 40)
    assert [p.opponent for p in pairings] == ["m4", "rollout:100", "rollout:1000", "m3"]
    assert {(p.model, p.num_games) for p in pairings} == {("m5", 40)}


def test_the_first_models_meet_nobody_twice():
    assert [p.opponent for p in pairings_of("m1", [], ["random"], 40)] == ["random"]
    assert [p.opponent for p in pairings_of("m2", ["m1"], ["random"], 40)] == ["m1", "random"]


def test_blocks_have_all_games_and_different_openings():
    blocks = list(tasks(Pairing("m2", "m1", 2 * BLOCK_GAMES + 6), seed=1))
    assert [block.num_games for block in blocks] == [BLOCK_GAMES, BLOCK_GAMES, 6]
    assert len({block.seed for block in blocks}) == len({block.key for block in blocks}) == 3


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
