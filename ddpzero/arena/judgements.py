"""Judgements of a run's models on solved positions, `runs/<run_name>/judgements.jsonl`: a line for each judged model.

Lines are appended and never changed, so no model is judged twice by one file, even after a kill at any moment. Which
model is judged next depends on nothing else. Knows no processes.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from ddpzero.arena.schedule import JudgeTask
from ddpzero.games import Game, TeamGame
from ddpzero.judges.packaged import find_positions
from ddpzero.judges.solved_positions import read_solved_positions
from ddpzero.system.errors import UserError, require
from ddpzero.system.guarded_files import (
    MAX_NPZ_BYTES,
    is_count,
    is_finite_number,
    parse_json_line,
    printable,
    read_bytes,
    read_rows,
)
from ddpzero.system.json_text import json_text
from ddpzero.system.whole_files import append_whole, drop_incomplete_line

JUDGEMENTS_FILE = "judgements.jsonl"


@dataclass(frozen=True)
class Shares:
    """What a model achieved with num_simulations per position (0: its network alone), as shares of the positions.

    kept: the move keeps the outcome; only of positions where not every move does. best: no move is better.
    """

    num_simulations: int
    kept: float
    best: float


@dataclass(frozen=True)
class Judgement:
    """The verdict on one model. file: name of the positions. learner_step, minutes: of the run when it saved the model.

    num_positions: positions judged. seconds: of judging. time: at its end, Unix time. digest: of the content of the
    file; "" in lines of earlier versions.
    """

    model: str
    file: str
    num_positions: int
    shares: tuple[Shares, ...]
    learner_step: int
    minutes: float
    seconds: float
    time: float
    digest: str = ""


class ModelJudge:
    """Decides which model of a run is judged next, and keeps the verdicts.

    file: the positions; see find_positions. interval_minutes: least training time of the run between two judged models.
    num_simulations: each model is judged with each of them. max_positions: see SolvedPositions.thinned.
    """

    def __init__(
        self,
        run_dir: Path,
        file: str,
        *,
        interval_minutes: float,
        num_simulations: Sequence[int],
        max_positions: int,
    ) -> None:
        self._path = run_dir / JUDGEMENTS_FILE
        self._positions = find_positions(file)
        self._interval_minutes = interval_minutes
        self._num_simulations = tuple(num_simulations)
        self._max_positions = max_positions
        # Models whose task was handed out by this process: one that kills its worker is not tried again.
        self._tried: set[str] = set()
        drop_incomplete_line(self._path)
        self._digest = sha256(read_bytes(self._positions, MAX_NPZ_BYTES)).hexdigest()[:16]
        self._judgements = [
            judgement
            for judgement in read_judgements(run_dir)
            if judgement.file == self.file and judgement.digest in ("", self._digest)
        ]

    @property
    def file(self) -> str:
        """The name of the positions."""
        return self._positions.stem

    def next_task(self, model: str, minutes: float) -> JudgeTask | None:
        """Return the task of the newest model if it is due. minutes: of the run when it saved the model."""
        if model in self._tried or any(model == judged.model for judged in self._judgements):
            return None
        if any(abs(minutes - j.minutes) < self._interval_minutes for j in self._judgements):
            return None
        self._tried.add(model)
        return JudgeTask(model, str(self._positions), self._num_simulations, self._max_positions)

    def record(
        self,
        task: JudgeTask,
        counters: Mapping[str, Any],
        shares: Sequence[Shares],
        num_positions: int,
        seconds: float,
    ) -> None:
        """Keep a verdict. counters: of the run when it saved the model. Raises OSError if it cannot be written."""
        judgement = Judgement(
            model=task.model,
            file=self.file,
            num_positions=num_positions,
            shares=tuple(shares),
            learner_step=int(counters.get("learner_step", 0)),
            minutes=float(counters.get("minutes", 0.0)),
            seconds=seconds,
            time=time.time(),
            digest=self._digest,
        )
        append_whole(self._path, f"{json_text(asdict(judgement))}\n".encode())
        self._judgements.append(judgement)

    def metrics(self) -> dict[str, float]:
        """Return the shares of the newest judgement; nothing before the first."""
        metrics = {}
        for each in self._judgements[-1].shares if self._judgements else ():
            metrics[f"judge/outcome_kept_{each.num_simulations}_simulations"] = each.kept
            metrics[f"judge/best_move_{each.num_simulations}_simulations"] = each.best
        return metrics


def check_judge(file: str, game: Game | TeamGame) -> None:
    """Raise UserError unless a run of this game can be judged by the file."""
    require(
        isinstance(game, Game),
        f"judge.file={file}: {game.name} is a team game, for which there are no solved positions: use judge.file=null.",
    )
    assert isinstance(game, Game)
    try:
        read_solved_positions(find_positions(file), game)
    except UserError as error:
        raise UserError(f"judge.file={file}: {error} judge.file=null judges no models.") from None


def read_judgements(run_dir: Path) -> list[Judgement]:
    """Return a run's judgements in their order, each model once for each file of positions; warns of damaged lines."""
    return read_rows(
        run_dir / JUDGEMENTS_FILE, _judgement, lambda each: (each.model, each.file, each.digest)
    )


def distinct_names(judgements: Sequence[Judgement]) -> list[str]:
    """Return a name of each judgement's positions, for people: the file's, and its digest if two files have that name.

    A judgement without a digest counts to any file of its name.
    """
    digests: dict[str, set[str]] = {}
    for judgement in judgements:
        digests.setdefault(judgement.file, set()).add(judgement.digest)
    return [
        f"{j.file} {j.digest[:6]}" if j.digest and len(digests[j.file] - {""}) > 1 else j.file
        for j in judgements
    ]


def _judgement(line: bytes) -> Judgement | None:
    """Return the judgement of a line; None if the line is incomplete or damaged."""
    row = parse_json_line(line)
    if row is None or not line.endswith(b"\n"):
        return None
    names: list[Any] = [row.get(name) for name in ("model", "file")]
    digest: Any = row.get("digest", "")
    counts: list[Any] = [row.get(name) for name in ("num_positions", "learner_step")]
    numbers: list[Any] = [row.get(name) for name in ("minutes", "seconds", "time")]
    shares: Any = row.get("shares")
    if not (
        all(isinstance(name, str) and name for name in names)
        and isinstance(digest, str)
        and all(map(is_count, counts))
        and all(is_finite_number(number) and number >= 0 for number in numbers)
        and isinstance(shares, list)
        and all(map(_is_share, shares))
    ):
        return None
    model, file, digest = map(printable, (*names, digest))
    achieved = tuple(
        Shares(s["num_simulations"], float(s["kept"]), float(s["best"])) for s in shares
    )
    minutes, seconds, end = map(float, numbers)
    return Judgement(model, file, counts[0], achieved, counts[1], minutes, seconds, end, digest)


def _is_share(entry: Any) -> bool:
    return (
        isinstance(entry, dict)
        and is_count(entry.get("num_simulations"))
        and all(
            is_finite_number(entry.get(name)) and 0 <= entry[name] <= 1 for name in ("kept", "best")
        )
    )
