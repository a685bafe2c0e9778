"""Games and matches between agents."""

from __future__ import annotations

import time
from pathlib import Path

from ddpzero.api.agent import Agent, agent_of
from ddpzero.api.numbers import whole_number
from ddpzero.api.position import Position
from ddpzero.arena.agents import any_game_of_players
from ddpzero.arena.match import MatchResult
from ddpzero.arena.match_blocks import blocks_of_match, joined, play_block, play_here
from ddpzero.arena.run import progress_of
from ddpzero.games import Game, TeamGame, describe_game
from ddpzero.system.errors import require


def play_game(
    first: Agent | str | Path,
    second: Agent | str | Path,
    *,
    start: Position | None = None,
    simulations: int | None = None,
    seconds: float | None = None,
) -> Position:
    """Let two agents play a game, and return its last position, which has all moves and the result.

        end = ddpzero.play_game(agent, "rollout:200", simulations=100)
        end.moves, end.returns

    first: moves as player 0. first, second: agents, or what `ddpzero.load` takes. start: where they begin; None for the
    start of the game. simulations, seconds: of each move, see Agent.search; for agents that search.
    Agents play without chance (but for `random`), so the same two play the same game from the same start.
    """
    agents = _agents(first, second, None if start is None else start.game)
    require(
        (simulations is None and seconds is None) or any(agent.can_think for agent in agents),
        f"simulations={simulations} and seconds={seconds} are for agents that search as long as they are told, and "
        f"none plays here ({agents[0].name}, {agents[1].name}): remove them.",
    )
    position = start or agents[0].position()
    while not position.is_over:
        agent = agents[position.current_player]
        limits = (simulations, seconds) if agent.can_think else (None, None)
        position = position.play(agent.choose(position, *limits))
    return position


def match(
    a: Agent | str | Path,
    b: Agent | str | Path,
    *,
    games: int = 100,
    game: Game | None = None,
    simulations: int | None = None,
    opening_moves: int | None = None,
    seed: int = 0,
) -> MatchResult:
    """Play a match between two agents, as `ddpzero match` does, and return its result from the view of `a`.

        result = ddpzero.match("runs/quick", "rollout:1000", games=100, simulations=64)
        print(result); result.score(), result.score_interval, result.elo

    Each random opening is played twice, with swapped sides, and all games at the same time. a, b: agents, or what
    `ddpzero.load` takes. games: an even number. game: None for the one of the trained agent among them.
    simulations: per move, of trained agents; None for the numbers in their configs; 0 for the network alone.
    opening_moves: random ones; None for as few as give different openings. seed: of the openings and of players that
    use chance; the same one repeats the match. On a terminal, a live line shows how far it is.
    Raises UserError.
    """
    games = whole_number("games", games, least=2)
    seed = whole_number("seed", seed, least=0)
    if simulations is not None:
        simulations = whole_number("simulations", simulations, least=0)
    if opening_moves is not None:
        opening_moves = whole_number("opening_moves", opening_moves, least=0)
    agents = _agents(a, b, game)
    rules = agents[0].any_game
    require(
        simulations is None or any(agent.can_search for agent in agents),
        f"simulations={simulations} is for trained agents that search, and none plays here "
        f"({agents[0].name}, {agents[1].name}): remove it.",
    )
    of_a, of_b = (agent.player(simulations if agent.can_search else None) for agent in agents)
    blocks = blocks_of_match(rules, games, seed, opening_moves)
    started = time.perf_counter()
    with progress_of(rules, games, len(blocks)) as on_progress:
        played = play_here(
            lambda block, on_state: play_block(of_a, of_b, rules, block, on_state),
            blocks,
            on_progress,
        )
    return joined(played, time.perf_counter() - started)


def _agents(a: Agent | str | Path, b: Agent | str | Path, game: Game | None) -> tuple[Agent, Agent]:
    """Return both as agents of one game. Raises UserError if they play different ones."""
    rules = game or _game_of(a, b)
    of_a, of_b = (
        each if isinstance(each, Agent) else agent_of(str(each), rules, None) for each in (a, b)
    )
    for agent in (of_a, of_b):
        plays, here = describe_game(agent.any_game), describe_game(rules)
        require(
            plays == here,
            f"{agent.name} plays {plays}, and the game here is {here}: load it with game=..., if its network fits.",
        )
    return of_a, of_b


def _game_of(a: Agent | str | Path, b: Agent | str | Path) -> Game | TeamGame:
    for each in (a, b):
        if isinstance(each, Agent):
            return each.any_game
    return any_game_of_players([str(a), str(b)])
