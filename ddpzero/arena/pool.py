"""The players of a run, their games and ratings, and the releases: what the arena knows, and what it should do next.

Everything is in the run's folder (models/, matches.jsonl, releases.jsonl), from which a resumed run continues. The plan
is schedule.py's, the rules of release are release.py's. Knows no processes.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ddpzero.arena.match_log import Block, MatchLog
from ddpzero.arena.ratings import Rating, Tournament
from ddpzero.arena.release import ReleaseRule, decide, release_match, score_of
from ddpzero.arena.schedule import JudgeTask, Pairing, Task, next_task, pairings_of, tasks
from ddpzero.run.models import keep_model, read_models, remove_model
from ddpzero.run.releases import (
    Verdict,
    append_verdict,
    last_release,
    read_verdicts,
    repair_verdicts,
)
from ddpzero.system.json_text import json_text
from ddpzero.system.whole_files import replace_whole

logger = logging.getLogger(__name__)

RATINGS_FILE = "ratings.json"


class ModelPool:
    """The models of one run, oldest first, and the fixed opponents, of which the first has the rating 0.

    ratings: after the last block, strongest first. match_score: of the last candidate against the best model.
    seed: of the run. num_games: of a model against each opponent. num_simulations: of a model, for ratings.json.
    max_models: models that stay on disk. is_gated: `tasks_of_match` alone plans the matches that decide about models,
    and `decide` alone decides; otherwise they are among the games beside the training. Methods that change anything
    raise OSError if the run's folder cannot be written.
    """

    def __init__(
        self,
        run_dir: Path,
        release: ReleaseRule,
        opponents: Sequence[str],
        *,
        seed: int,
        num_games: int,
        num_simulations: int | None,
        max_models: int,
        is_gated: bool = False,
    ) -> None:
        self._run_dir = run_dir
        self._release = release
        self.opponents = list(opponents)
        self._seed = seed
        self._num_games = num_games
        self._num_simulations = num_simulations
        self._max_models = max_models
        self._is_gated = is_gated
        self._log = MatchLog(run_dir)
        repair_verdicts(run_dir)
        self._verdicts = read_verdicts(run_dir)
        self._read_models()
        self.match_score: float | None = None
        self.ratings: list[Rating] = []
        self._tournament = Tournament(self.opponents[0])
        self._num_rated_blocks = 0
        self._rate()

    @property
    def models(self) -> list[str]:
        return list(self._counters)

    @property
    def best(self) -> str | None:
        """The model that was released last; None before the first."""
        return self.best_up_to(math.inf)

    def best_up_to(self, learner_step: float) -> str | None:
        """Return the model that was released last, of those saved up to this step."""
        release = last_release(self._verdicts, learner_step + 1)
        return release.model if release else None

    @property
    def newest_rating(self) -> Rating | None:
        """The rating of the newest model that has one."""
        by_name = {rating.player: rating for rating in self.ratings}
        rated = [by_name[model] for model in self.models if model in by_name]
        return rated[-1] if rated else None

    def add(self, checkpoint: Path, in_play: Collection[str] = ()) -> None:
        """Add the model of a new checkpoint. in_play: models that are needed now."""
        keep_model(self._run_dir, checkpoint)
        self.refresh(in_play)

    def refresh(self, in_play: Collection[str] = ()) -> None:
        """Take in the models that were added to the run's folder. in_play: models that are needed now."""
        self._read_models()
        if not self._is_gated:
            self._decide_newer_models()
        self._remove_surplus_models(in_play)

    def tasks_of_match(self, model: str) -> list[Task]:
        """Return the blocks that are left to play before a model can be released or rejected."""
        match = self._release_match(model)
        blocks = tasks(match, self._seed) if match else ()
        return [task for task in blocks if task.key not in self._log.keys]

    def decide(self, model: str) -> None:
        """Release or reject a model if it has played enough against the best one, unless that is done."""
        step = self._step(model)
        if any(verdict.model == model for verdict in self._verdicts):
            return
        match, best = self._release_match(model), last_release(self._verdicts, step)
        keys = {task.key for task in tasks(match, self._seed)} if match else set()
        blocks = [block for block in self._log.blocks if block.key in keys]
        if len(blocks) < len(keys):
            return
        if blocks:
            self.match_score = score_of(blocks)
        steps_since_release = step - best.learner_step if best else step
        best_model = best.model if best else None
        verdict = decide(self._release, best_model, blocks, steps_since_release)
        self._judge(Verdict(model, *verdict, step, time.time()))

    def counters_of(self, model: str) -> Mapping[str, Any]:
        """Return the counters of the run when it saved a model; none for a model that was removed."""
        return self._counters.get(model, {})

    def next_task(self, in_play: Collection[Task | JudgeTask]) -> Task | None:
        """Return the block to play next; None if nothing is left."""
        taken = self._log.keys | {task.key for task in in_play}
        for model in dict.fromkeys([*self._last_to_play(), *self.models[-1:]]):
            if task := next_task(self._pairings(model), self._seed, taken):
                return task
        return None

    def record(
        self,
        task: Task,
        scores: Sequence[tuple[float, float]],
        mean_plies: float,
        seconds: float,
        num_distinct_games: int | None = None,
    ) -> None:
        """Count the games of a task. The others: see match_log.Block."""
        counters = self._counters.get(task.player_a, {})
        block = Block(
            key=task.key,
            player_a=task.player_a,
            player_b=task.player_b,
            scores=tuple(scores),
            learner_step=int(counters.get("learner_step", 0)),
            samples=int(counters.get("samples", 0)),
            minutes=float(counters.get("minutes", 0.0)),
            mean_plies=mean_plies,
            seconds=seconds,
            time=time.time(),
            num_distinct_games=num_distinct_games,
        )
        self._log.append(block)
        self._rate()
        if not self._is_gated:
            self._decide_newer_models()
        self._write_ratings()

    def _last_to_play(self) -> list[str]:
        """Return the model that played last, if it still exists: it plays all its games before another one does."""
        return [b.player_a for b in self._log.blocks[-1:] if b.player_a in self._counters]

    def _pairings(self, model: str) -> list[Pairing]:
        """Return all games that a model should play, the most urgent first."""
        earlier = self.models[: self.models.index(model)]
        rated = pairings_of(model, earlier, self.opponents, self._num_games)
        match = None if self._is_gated else self._release_match(model)
        if match is None or match.opponent not in earlier:
            return rated
        return [match, *(pairing for pairing in rated if pairing.opponent != match.opponent)]

    def _release_match(self, model: str) -> Pairing | None:
        """Return the games that decide about a model; None if none do, or if the best model's files are gone."""
        best = self.best_up_to(self._step(model) - 1)
        num_games = release_match(self._release, best)
        return Pairing(model, best, num_games) if best in self._counters and num_games else None

    def _step(self, model: str) -> int:
        return int(self._counters[model]["learner_step"])

    def _decide_newer_models(self) -> None:
        """Decide about the models that are newer than the best one."""
        for model in self._counters:
            best = last_release(self._verdicts)
            if best is None or self._step(model) > best.learner_step:
                self.decide(model)

    def _judge(self, verdict: Verdict) -> None:
        append_verdict(self._run_dir, verdict)
        self._verdicts.append(verdict)
        if self._release.kind != "always":
            what = "released" if verdict.is_released else "rejected"
            logger.info("%s is %s: %s", verdict.model, what, verdict.reason)

    def _rate(self) -> None:
        self._tournament.add(self._log.blocks[self._num_rated_blocks :])
        self._num_rated_blocks = len(self._log.blocks)
        self.ratings = self._tournament.ratings()

    def _write_ratings(self) -> None:
        document = {
            "anchor": self.opponents[0],
            "num_simulations": self._num_simulations,
            "best": self.best,
            "ratings": [asdict(rating) for rating in self.ratings],
        }
        replace_whole(self._run_dir / RATINGS_FILE, json_text(document, indent=1).encode())

    def _read_models(self) -> None:
        self._counters = {m.model: m.counters for m in read_models(self._run_dir)}

    def _remove_surplus_models(self, in_play: Collection[str]) -> None:
        """Remove every second model of the older half while there are more than max_models; never the best one."""
        surplus = len(self._counters) - self._max_models
        if surplus <= 0:
            return
        kept = {self.best, *self._last_to_play(), *in_play}
        older = self.models[1 : len(self._counters) // 2 : 2]
        for model in [model for model in older if model not in kept][:surplus]:
            remove_model(self._run_dir, model)
        self._read_models()
