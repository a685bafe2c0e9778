"""Evaluates one trained agent: against perfect play, against fixed opponents, in its run's pool, and by its speed.

`ddpzero evaluate RUN` calls it; evaluation_report.py shows the result.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ddpzero.arena.agents import Agent, parse_player
from ddpzero.arena.arena import default_opponents
from ddpzero.arena.judgements import Judgement, read_judgements
from ddpzero.arena.match import MatchResult, play_match
from ddpzero.arena.match_log import read_blocks
from ddpzero.arena.openings import random_openings
from ddpzero.arena.ratings_report import RatedPlayer, anchor_of, rated_players
from ddpzero.arena.team_match import play_team_match
from ddpzero.games import Game, TeamGame
from ddpzero.games.core.players import Player, TeamPlayer
from ddpzero.games.core.random_bits import new_random_states
from ddpzero.judges.packaged import packaged_positions_of
from ddpzero.judges.perfect_play import JudgeReport, judge
from ddpzero.judges.solved_positions import SolvedPositions, read_solved_positions

# Each opponent of a ladder is about as much stronger than the one before; the agent climbs until it loses.
_LADDER = ("rollout:100", "rollout:1000", "rollout:10000")
_LATENCY_POSITIONS = 10
_LOCKSTEP_POSITIONS = 256
_MIN_SECONDS = 1.0


@dataclass(frozen=True)
class RandomShares:
    """The mean shares of legal actions that keep the outcome, that do where not every action does, and that are best.

    kept_where_it_matters: None if every action keeps the outcome in every position.
    """

    kept: float
    kept_where_it_matters: float | None
    best: float


@dataclass(frozen=True)
class Judged:
    """The verdict of one file of solved positions. file: its name. any_action: what a random legal action achieves."""

    file: str
    report: JudgeReport
    any_action: RandomShares


@dataclass(frozen=True)
class Speed:
    """latency_seconds: of one move in one position, the median. moves_per_second: of many positions in lockstep."""

    latency_seconds: float
    moves_per_second: float
    num_positions: int


@dataclass(frozen=True)
class Evaluation:
    """All that is known about an agent.

    num_simulations: per move; None if the player does not search or does not say. ratings: of its run's pool, strongest
    first; anchor: the player in it with Elo 0. run_name: of that run; "" if the agent's files are in none. speeds: by
    what is measured, "network alone" and "with search". judgements: of the run's models during the training, oldest
    first. unplayed: opponents that were left out, because the agent lost to a weaker one. stopped_at: what the user
    interrupted, "" if nothing; all that would follow is missing.
    """

    agent: Agent
    num_simulations: int | None
    judged: list[Judged] = field(default_factory=list)
    ladder: list[MatchResult] = field(default_factory=list)
    ratings: list[RatedPlayer] = field(default_factory=list)
    anchor: str = ""
    run_name: str = ""
    speeds: dict[str, Speed] = field(default_factory=dict)
    judgements: list[Judgement] = field(default_factory=list)
    unplayed: tuple[str, ...] = ()
    stopped_at: str = ""


def evaluate(
    agent: Agent,
    run_dir: Path | None,
    *,
    num_simulations: int | None,
    num_games: int,
    seed: int,
    on_step: Callable[[str], None] = lambda step: None,
) -> Evaluation:
    """Evaluate an agent. run_dir: of its run, for the ratings. on_step: is told what is measured next.

    Ctrl-C ends it early, with what was measured until then.
    """
    player = agent.make_player(num_simulations)
    num_simulations = getattr(player, "num_simulations", num_simulations)
    players = {"as it plays": player}
    if isinstance(agent.game, Game) and num_simulations != 0 and agent.can_search:
        players = {"network alone": agent.make_player(0), "with search": player}
    evaluation = Evaluation(agent, num_simulations)
    if run_dir is not None:
        evaluation = _with_history(evaluation, run_dir)
    step = ""

    def tell(what: str) -> None:
        nonlocal step
        step = what
        on_step(what)

    try:
        _measure_speeds(evaluation, players, seed, tell)
        _judge(evaluation, players, seed, tell)
        return _climb(evaluation, player, num_games, seed, tell)
    except KeyboardInterrupt:
        return replace(evaluation, stopped_at=step)


def _with_history(evaluation: Evaluation, run_dir: Path) -> Evaluation:
    """Add what the agent's run has recorded: judgements and ratings."""
    evaluation = replace(evaluation, judgements=read_judgements(run_dir), run_name=run_dir.name)
    if not (blocks := read_blocks(run_dir)):
        return evaluation
    anchor = anchor_of(run_dir, blocks)
    return replace(evaluation, ratings=rated_players(run_dir, blocks, anchor), anchor=anchor)


def _measure_speeds(
    evaluation: Evaluation, players: dict[str, Any], seed: int, tell: Callable[[str], None]
) -> None:
    for what, player in players.items():
        tell(f"speed ({what})")
        evaluation.speeds[what] = measure_speed(evaluation.agent.game, player, seed)


def _judge(
    evaluation: Evaluation, players: dict[str, Any], seed: int, tell: Callable[[str], None]
) -> None:
    game = evaluation.agent.game
    if not isinstance(game, Game):
        return
    for file in packaged_positions_of(game):
        solved = read_solved_positions(file, game)
        for what, player in players.items():
            tell(f"{file.stem}: {len(solved.scores)} solved positions ({what})")
            simulations = 0 if what == "network alone" else evaluation.num_simulations
            report = judge(solved, player, simulations, seed)
            evaluation.judged.append(Judged(file.stem, report, _random_shares(solved)))


def _random_shares(solved: SolvedPositions) -> RandomShares:
    kept, matters = solved.random_share, solved.matters
    where_it_matters = float(kept[matters].mean()) if matters.any() else None
    return RandomShares(
        float(kept.mean()), where_it_matters, float(solved.random_best_share.mean())
    )


def _climb(
    evaluation: Evaluation, player: Any, num_games: int, seed: int, tell: Callable[[str], None]
) -> Evaluation:
    """Play against stronger and stronger opponents until the agent loses; against all rule agents of a team game."""
    agent = evaluation.agent
    opponents = _LADDER if isinstance(agent.game, Game) else default_opponents(agent.game)
    for number, opponent in enumerate(opponents, start=1):
        tell(f"{num_games} games against {opponent}")
        evaluation.ladder.append(_match(agent, player, opponent, num_games, seed))
        if isinstance(agent.game, Game) and evaluation.ladder[-1].score() < 0.5:
            return replace(evaluation, unplayed=tuple(opponents[number:]))
    return evaluation


def _match(agent: Agent, player: Any, opponent: str, num_games: int, seed: int) -> MatchResult:
    game = agent.game
    if isinstance(game, TeamGame):
        return play_team_match(player, parse_player(opponent, game), game, num_games, seed)
    return play_match(player, parse_player(opponent, game), game, num_games, seed)


def measure_speed(game: Game | TeamGame, player: Player | TeamPlayer, seed: int) -> Speed:
    """Measure a player in positions of random play; the first calls, which compile, do not count."""
    rng = np.random.default_rng(seed)
    choose, num_positions = _chooser(game, player, rng)
    choose(1)
    choose(num_positions)
    latencies = [_seconds(lambda: choose(1)) for _ in range(_LATENCY_POSITIONS)]
    num_moves, started = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - started) < _MIN_SECONDS:
        choose(num_positions)
        num_moves += num_positions
    return Speed(float(np.median(latencies)), num_moves / elapsed, num_positions)


def _chooser(
    game: Game | TeamGame, player: Any, rng: np.random.Generator
) -> tuple[Callable[[int], object], int]:
    """Return a function that lets the player move in its first n positions, and how many positions there are."""
    if isinstance(game, TeamGame):
        from ddpzero.arena.team_table import TeamTable

        states = new_random_states(int(rng.integers(2**31)), _LOCKSTEP_POSITIONS)
        positions = TeamTable(game, states).positions
        teams = np.zeros(len(positions), np.int64)
        return lambda n: player.choose(positions[:n], teams[:n], states[:n]), len(positions)
    positions = random_openings(game, _LOCKSTEP_POSITIONS, rng).positions
    return lambda n: player.choose(positions[:n], rng), len(positions)


def _seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started
