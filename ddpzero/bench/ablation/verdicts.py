"""Judges the models of a training: in solved positions, and in matches."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ddpzero.algorithms.base import CompleteAlgorithm
from ddpzero.algorithms.loader import has_parameter
from ddpzero.arena.agents import Agent, load_agent, parse_player
from ddpzero.arena.judging import judge_agent, solved_positions
from ddpzero.arena.match import require_match
from ddpzero.arena.match_blocks import Players, blocks_of_match
from ddpzero.arena.run import play_blocks
from ddpzero.arena.team_match import require_team_match
from ddpzero.bench.ablation.experiment import BASE, Judge, MatchesJudge, PositionsJudge
from ddpzero.bench.ablation.results import Verdict, quarters_of
from ddpzero.games import Game, TeamGame, describe_game
from ddpzero.system.cores import usable_cores
from ddpzero.system.errors import UserError, require

SCORE = "score"


def check_judge(judge: Judge, algorithm: CompleteAlgorithm, first: CompleteAlgorithm) -> None:
    """Raise UserError unless a variant can be judged. algorithm: of the variant. first: of the first variant.

    Whatever would end a judgment shows here, before hours of training.
    """
    game = algorithm.game
    if judge.positions is not None:
        for file in judge.positions.files:
            solved_positions(file, _require_board_game(game))
    if judge.matches is not None:
        _check_matches(judge.matches, algorithm)
        if judge.needs_first and describe_game(first.game) != describe_game(game):
            require(
                first.fits(game),
                f"judge.matches.opponents: {BASE} is trained on {describe_game(first.game)}, but this variant plays "
                f"{describe_game(game)}, which the networks of {BASE} do not fit: remove {BASE}.",
            )


def _require_board_game(game: Game | TeamGame) -> Game:
    if isinstance(game, Game):
        return game
    raise UserError(
        f"judge.positions: there are no solved positions of the team game {game.name}; use judge.matches."
    )


def _check_matches(judge: MatchesJudge, algorithm: CompleteAlgorithm) -> None:
    """Raise UserError if an opponent is unknown, or a match cannot be played with these settings."""
    game, simulations = algorithm.game, judge.simulations
    require(
        simulations is None or has_parameter(algorithm.make_player, "num_simulations"),
        f"judge.matches.simulations={simulations}: the player of this algorithm does not search; remove it.",
    )
    if isinstance(game, TeamGame):
        require(
            simulations is None,
            f"judge.matches.simulations={simulations}: players of the team game {game.name} do not search; remove it.",
        )
        require_team_match(game, judge.games)
    else:
        require_match(game, judge.games)
    for opponent in judge.opponents:
        if opponent != BASE:
            parse_player(opponent, game, simulations)


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
                yield _in_match(agent, model, opponent, opponent, judge.matches, seed)
            elif first_model is not None:
                yield _in_match(agent, model, BASE, str(first_model), judge.matches, seed)


def _in_positions(agent: Agent, judge: PositionsJudge, seed: int) -> Iterator[Verdict]:
    game = agent.game
    assert isinstance(game, Game), "check_judge refuses team games"
    for file in judge.files:
        solved = solved_positions(file, game)
        for simulations in judge.simulations if agent.can_search else (0,):
            asked = simulations if agent.can_search else None
            for figure, hits in judge_agent(agent, solved, asked, seed):
                yield Verdict(solved.file.stem, figure, simulations, quarters_of(hits))


def _in_match(
    agent: Agent, model: Path, name: str, opponent: str, judge: MatchesJudge, seed: int
) -> Verdict:
    """Play a match on all cores: no training is running."""
    game = agent.game
    players = Players(str(model), opponent, game.arguments, judge.simulations)
    blocks = blocks_of_match(game, judge.games, seed, opening_plies=None)
    result = play_blocks(players, blocks, usable_cores())
    values = (np.sign(result.returns).mean(axis=1) + 1) / 2
    return Verdict(name, SCORE, judge.simulations, quarters_of(values))
