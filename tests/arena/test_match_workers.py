"""Facts about matches in blocks: how many processes play them changes nothing."""

from __future__ import annotations

import os
import struct
from multiprocessing.connection import Connection

import numpy as np
import pytest
import torch

from ddpzero.arena import match_workers, run
from ddpzero.arena.match import Games, play_match
from ddpzero.arena.match_blocks import BLOCK_GAMES, BoardBlock, Players, blocks_of_match
from ddpzero.arena.match_workers import MatchError, play_in_processes
from ddpzero.arena.openings import Openings
from ddpzero.arena.players import RandomPlayer, RolloutPlayer
from ddpzero.arena.run import run_match
from ddpzero.games import load_any_game, load_game
from ddpzero.system.errors import UserError


@pytest.mark.parametrize(
    ("game", "players"),
    [
        (load_game("tic_tac_toe"), ("rollout:20", "random")),
        (load_any_game("snakes"), ("greedy", "random")),
    ],
    ids=["board game", "team game"],
)
def test_two_processes_play_the_games_of_one(game, players, capsys):
    num_games = BLOCK_GAMES + 20
    one, two = (
        run_match(*players, game=game, num_games=num_games, seed=3, num_workers=number)
        for number in (1, 2)
    )
    assert np.array_equal(one.returns, two.returns)
    assert np.array_equal(one.num_plies, two.num_plies)
    assert one.num_distinct_games == two.num_distinct_games
    assert (one.name_a, one.name_b) == (two.name_a, two.name_b) == players


@pytest.mark.parametrize(
    ("num_blocks", "num_workers", "num_threads"), [(1, 1, 4), (2, 2, 2), (9, 4, 1)]
)
def test_without_a_number_a_match_uses_all_cores(num_blocks, num_workers, num_threads, monkeypatch):
    asked = {}

    def play(players, blocks, number, on_progress):
        asked.update(number=number, num_threads=players.num_threads)
        return [games] * len(blocks)

    def play_here(play, blocks, on_progress):
        asked.update(number=1, num_threads=torch.get_num_threads())
        return [games] * len(blocks)

    game, before = load_game("tic_tac_toe"), torch.get_num_threads()
    games = Games("random", "random", np.ones((1, 2), np.float32), np.ones((1, 2), np.int32), [1])
    monkeypatch.setattr(run, "usable_cores", lambda: 4)
    monkeypatch.setattr(run, "play_in_processes", play)
    monkeypatch.setattr(run, "play_here", play_here)
    run_match("random", "random", game=game, num_games=num_blocks * BLOCK_GAMES, num_workers=None)
    assert asked == {"number": num_workers, "num_threads": num_threads}
    assert torch.get_num_threads() == before


def test_a_process_of_a_match_uses_one_core(monkeypatch):
    used = []
    play_for_real = run.play_here

    def play_here(*arguments):
        used.append(torch.get_num_threads())
        return play_for_real(*arguments)

    monkeypatch.setattr(run, "play_here", play_here)
    run_match("random", "random", game=load_game("tic_tac_toe"), num_games=2, num_workers=1)
    assert used == [1]


def test_a_match_of_one_block_has_the_games_of_play_match(capsys):
    game = load_game("tic_tac_toe")
    result = run_match("rollout:20", "random", game=game, num_games=20, seed=3)
    expected = play_match(RolloutPlayer(game, 20), RandomPlayer(game), game, 20, seed=3)
    assert np.array_equal(result.returns, expected.returns)


def test_the_openings_of_all_blocks_differ():
    blocks = blocks_of_match(load_game("connect_four"), 4 * BLOCK_GAMES, 0, None)
    positions = np.concatenate([block.openings.positions for block in blocks])
    assert len(blocks) == 4
    assert len(np.unique(positions, axis=0)) == len(positions) == 2 * BLOCK_GAMES


def play_in_two_processes(player: str) -> None:
    """Play blocks that are larger than the buffer of a pipe."""
    game = load_game("tic_tac_toe")
    openings = Openings(np.zeros((1000, 1000), np.int64), np.zeros(1000, np.int64))
    blocks = [BoardBlock(openings, np.random.default_rng(0))] * 2
    play_in_processes(Players(player, "random", game.arguments, None), blocks, 2, lambda *_: None)


def test_an_error_of_the_user_in_a_process_is_one_here():
    with pytest.raises(UserError, match=r"'rollout:0'.*is not a number of simulations"):
        play_in_two_processes("rollout:0")


def _die(*_: object) -> None:
    os._exit(7)


def _die_in_a_message(players: Players, parent_pid: int, connection: Connection) -> None:
    connection.recv()
    os.write(connection.fileno(), struct.pack("!i", 100) + b"a part")
    os._exit(7)


@pytest.mark.parametrize("work", [_die, _die_in_a_message])
def test_a_process_that_dies_ends_the_match_with_a_sentence(work, monkeypatch):
    monkeypatch.setattr(match_workers, "_work", work)
    with pytest.raises(MatchError, match=r"a process of the match ended \(exit code 7\)"):
        play_in_two_processes("random")
