"""The process of an arena worker: receives tasks, plays games in lockstep or judges a model, and sends the results.

It runs at a low priority, with one thread for its games, and ends when its rank ends.
"""

from __future__ import annotations

import json
import logging
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ddpzero.actors.connection import ActorConnection, Kind, Message
from ddpzero.actors.crash_report import CrashReport
from ddpzero.actors.process import run_supervised
from ddpzero.arena.opponents import find_player
from ddpzero.arena.schedule import BLOCK_GAMES, JudgeTask, Task
from ddpzero.arena.signs_of_life import SignsOfLife
from ddpzero.run.models import MODELS_FOLDER
from ddpzero.system.errors import UserError, in_one_line, is_sentence_of_ours

logger = logging.getLogger(__name__)

# Lower than that of actors and learner: on a busy machine they go first.
_NICENESS = 10
_MAX_PLAYERS = 4


@dataclass(frozen=True)
class WorkerArguments:
    """What the rank passes to a new worker. game: arguments of load_any_game. num_simulations: per move of a model.

    device: where players evaluate networks, such as "cpu" or "cuda:0".
    """

    parent_pid: int
    rank: int
    worker_index: int
    run_dir: Path
    game: dict[str, Any]
    num_simulations: int | None
    device: str
    connection: ActorConnection
    crash_report: CrashReport
    log_file: Path | None
    num_threads: int = 1

    @property
    def process_name(self) -> str:
        return f"arena worker {self.worker_index} of rank {self.rank}"


def worker_main(arguments: WorkerArguments) -> None:
    """Play until the rank ends."""
    os.nice(_NICENESS)
    run_supervised(arguments, lambda: _Body(arguments).run())


class _Body:
    def __init__(self, arguments: WorkerArguments) -> None:
        # Loads numba, which the rank that starts this process does not need.
        from ddpzero.games import load_any_game

        self._arguments = arguments
        self._connection = arguments.connection
        self._game = load_any_game(**arguments.game)
        self._players: dict[str, Any] = {}
        self._solved: Any = None

    def run(self) -> None:
        while True:
            command = self._connection.receive(timeout_seconds=None)
            assert command is not None
            ((kind, task),) = json.loads(command.payload).items()
            with SignsOfLife(lambda: self._connection.send([Message(Kind.METRICS, 0)])) as signs:
                if kind == "JudgeTask":
                    result = self._judge(JudgeTask(**task), signs)
                else:
                    result = self._play_or_refuse(Task(**task), signs)
            result["cpu_seconds"] = time.process_time()
            self._connection.send([Message(Kind.RESULT, 0, json.dumps(result).encode())])

    def _play_or_refuse(self, task: Task, signs: SignsOfLife) -> dict[str, Any]:
        """Return what `_play` returns, or the fields of workers.Refused but its task."""
        try:
            return self._play(task, signs)
        except Exception as error:
            # A bug of ours or of a plugin ends this process, with its traceback in the crash report.
            if not is_sentence_of_ours(error):
                raise
            logger.exception("%s is refused", task.key)
            return {"problem": str(error)}

    def _play(self, task: Task, signs: SignsOfLife) -> dict[str, Any]:
        """Return the scores, mean_plies, seconds and num_distinct_games of match_log.Block."""
        from ddpzero.arena.match_blocks import blocks_of_match, joined, play_block

        players = self._player(task.player_a), self._player(task.player_b)
        started = time.perf_counter()
        blocks = blocks_of_match(self._game, task.match_games, task.seed, block_games=BLOCK_GAMES)
        games = play_block(*players, self._game, blocks[task.number], signs.note_progress)
        result = joined([games], time.perf_counter() - started)
        scores = (1 + np.sign(result.returns.astype(float))) / 2
        return {
            "scores": scores.tolist(),
            "mean_plies": float(result.num_plies.mean()),
            "seconds": result.seconds,
            "num_distinct_games": result.num_distinct_games,
        }

    def _judge(self, task: JudgeTask, signs: SignsOfLife) -> dict[str, Any]:
        """Return the fields of workers.Judged but its task; a failure of judging must not end this process."""
        from ddpzero.arena.judging import judge_model

        started = time.perf_counter()
        path = self._arguments.run_dir / MODELS_FOLDER / task.model
        problem = ""
        shares: list[dict[str, Any]] = []
        num_positions = 0
        try:
            solved = self._solved_positions(task)
            shares, num_positions = judge_model(
                task, path, solved, self._arguments.device, signs.note_progress
            )
        except (UserError, RuntimeError, OSError) as error:
            problem = in_one_line(error)
        seconds = time.perf_counter() - started
        return {
            "shares": shares,
            "num_positions": num_positions,
            "seconds": seconds,
            "problem": problem,
        }

    def _solved_positions(self, task: JudgeTask) -> Any:
        """Return the positions of a task; all tasks of a run have the same."""
        from ddpzero.games import Game
        from ddpzero.judges.solved_positions import read_solved_positions

        if self._solved is None:
            assert isinstance(self._game, Game)
            solved = read_solved_positions(Path(task.file), self._game)
            self._solved = solved.thinned(task.max_positions)
        return self._solved

    def _player(self, name: str) -> Any:
        """Return the player of this name, a model or a fixed opponent; keeps the last few."""
        player = self._players.pop(name, None) or self._make_player(name)
        self._players[name] = player
        if len(self._players) > _MAX_PLAYERS:
            del self._players[next(iter(self._players))]
        return player

    def _make_player(self, name: str) -> Any:
        from ddpzero.arena.agents import load_agent, parse_player

        run_dir, device = self._arguments.run_dir, self._arguments.device
        path = find_player(run_dir, name)
        if path is not None and path.parent.name == MODELS_FOLDER:
            agent = load_agent(path).on(self._game)
            return agent.make_player(self._arguments.num_simulations, device)
        return parse_player(str(path or name), self._game, num_threads=1, device=device)
