"""A rank that is killed while its worker plays: no process is left, and no block is lost or played twice."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil

from ddpzero.arena.match_blocks import blocks_of_match, play_block
from ddpzero.arena.match_log import read_blocks
from ddpzero.arena.players import RandomPlayer, RolloutPlayer
from ddpzero.arena.schedule import BLOCK_GAMES, Pairing, tasks
from ddpzero.games import load_game
from tests.torchrun import environment

PAIRING = Pairing("rollout:300", "random", 160)

# A rank without training: it plays the blocks of a pairing that its file does not have yet.
RANK = """
import sys, time
from pathlib import Path
from ddpzero.arena.match_log import Block, MatchLog
from ddpzero.arena.schedule import Pairing, next_task
from ddpzero.arena.workers import Workers
from ddpzero.games import load_game

run_dir, model, opponent, num_games = Path(sys.argv[1]), *sys.argv[2:]
pairing = Pairing(model, opponent, int(num_games))
log = MatchLog(run_dir)
game = load_game("tic_tac_toe").arguments
with Workers(1, rank=0, run_dir=run_dir, game=game, num_simulations=None, device="cpu", hang_seconds=60) as workers:
    while workers.tasks or next_task([pairing], 0, log.keys):
        if workers.has_idle_worker:
            workers.play(next_task([pairing], 0, log.keys))
        for played in workers.poll():
            task = played.task
            scores, mean_plies = tuple(played.scores), played.mean_plies
            log.append(Block(task.key, task.player_a, task.player_b, scores, 0, 0, 0.0, mean_plies, 0.0, 0.0))
        time.sleep(0.01)
"""


def start_rank(run_dir: Path) -> subprocess.Popen[bytes]:
    words = [str(run_dir), PAIRING.model, PAIRING.opponent, str(PAIRING.num_games)]
    return subprocess.Popen([sys.executable, "-c", RANK, *words], env=environment())


def wait_until(condition) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_rank_killed_during_a_block_leaves_no_process_and_continues_with_that_block(tmp_path):
    rank = start_rank(tmp_path)
    wait_until(lambda: read_blocks(tmp_path))
    workers = psutil.Process(rank.pid).children(recursive=True)
    assert len(workers) >= 1
    rank.send_signal(signal.SIGKILL)
    rank.wait()
    _, left = psutil.wait_procs(workers, timeout=5)
    assert left == []
    num_before = len(read_blocks(tmp_path))
    assert num_before < 4
    assert start_rank(tmp_path).wait() == 0
    game = load_game("tic_tac_toe")
    players = RolloutPlayer(game, 300), RandomPlayer(game)
    expected = []
    for task in tasks(PAIRING, seed=0):
        blocks = blocks_of_match(game, PAIRING.num_games, task.seed, block_games=BLOCK_GAMES)
        returns = play_block(*players, game, blocks[task.number], lambda *_: None).returns
        expected.append((task.key, ((1 + np.sign(returns)) / 2).tolist()))
    blocks = read_blocks(tmp_path)
    assert [(block.key, list(map(list, block.scores))) for block in blocks] == expected
