"""Judges the models of a training: in solved positions, and in matches."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ddpzero.arena.agents import Agent, load_agent, parse_player
from ddpzero.arena.judging import judge_agent, solved_positions
from ddpzero.arena.match import play_match
from ddpzero.arena.team_match import play_team_match
from ddpzero.bench.ablation.experiment import BASE, Judge, MatchesJudge, PositionsJudge
from ddpzero.bench.ablation.results import Verdict, quarters_of
from ddpzero.games import Game, TeamGame
from ddpzero.system.errors import require

SCORE = "score"


def check_judge(judge: Judge, game: Game | TeamGame) -> None:
    """Raise UserError if the positions are of another game, or an opponent is unknown."""
    if judge.positions is not None:
        require(
            isinstance(game, Game),
            f"judge.positions: there are no solved positions of the team game {game.name}; use judge.matches.",
        )
        for file in judge.positions.files:
            solved_positions(file, game)  # type: ignore[arg-type]  # checked above
    if judge.matches is not None:
        for opponent in judge.matches.opponents:
            if opponent != BASE:
                parse_player(opponent, game)


def verdicts(model: Path, judge: Judge, seed: int, first_model: Path | None) -> Iterator[Verdict]:
    """Judge a model. first_model: that of the first variant, for the opponent "base"; None if it is this one.

    seed: of the openings, which are the same for all variants.
    """
    agent = load_agent(model)
    if judge.positions is not None:
        yield from _in_positions(agent, judge.positions, seed)
    if judge.matches is not None:
        for opponent in judge.matches.opponents:
            if opponent != BASE:
                yield _in_match(agent, opponent, opponent, judge.matches, seed)
            elif first_model is not None:
                yield _in_match(agent, BASE, str(first_model), judge.matches, seed)


def _in_positions(agent: Agent, judge: PositionsJudge, seed: int) -> Iterator[Verdict]:
    game = agent.game
    assert isinstance(game, Game), "check_judge refuses team games"
    for file in judge.files:
        solved = solved_positions(file, game)
        for simulations in judge.simulations:
            for figure, hits in judge_agent(agent, solved, simulations, seed):
                yield Verdict(solved.file.stem, figure, simulations, quarters_of(hits))


def _in_match(agent: Agent, name: str, opponent: str, judge: MatchesJudge, seed: int) -> Verdict:
    game = agent.game
    if isinstance(game, TeamGame):
        teams = agent.make_player(), parse_player(opponent, game)
        result = play_team_match(*teams, game, judge.games, seed)  # type: ignore[arg-type]
    else:
        players = (
            agent.make_player(judge.simulations),
            parse_player(opponent, game, judge.simulations),
        )
        result = play_match(*players, game, judge.games, seed)  # type: ignore[arg-type]
    values = (np.sign(result.returns).mean(axis=1) + 1) / 2
    return Verdict(name, SCORE, judge.simulations, quarters_of(values))
