"""Makes players from names on the command line: programs without training, and the trained agents of runs.

Called by match, judge and play. The plugin of the run makes the player.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from ddpzero.algorithms.base import CompleteAlgorithm
from ddpzero.algorithms.loader import (
    errors_of_plugin,
    has_parameter,
    load_algorithm,
    load_plugin,
    missing_members,
)
from ddpzero.arena.levels import FULL_LEVEL, USUAL_SIMULATIONS, Level, LeveledPlayer, level_of
from ddpzero.arena.players import RandomPlayer, RolloutPlayer
from ddpzero.arena.team_players import RulePlayer
from ddpzero.config.conversion import settings_from_dict, with_defaults
from ddpzero.games import Game, TeamGame, describe_game
from ddpzero.games.core.players import Player, TeamPlayer, Thoughtful
from ddpzero.run.finder import RUNS_DIR, find_run, why_unknown
from ddpzero.system.errors import UserError, require

if TYPE_CHECKING:
    import torch

_MAX_DIGITS = 18
_LEVELS = tuple(map(str, range(1, FULL_LEVEL + 1)))

# For board games; in a team game, the names of its rule agents replace the first two.
_RUN = (
    f"a run (its folder, its name in {RUNS_DIR}/, RUN@best or RUN@EPISODE), the folder of a checkpoint, each of them "
    "with a level of strength (RUN:level3)"
)
ALLOWED_PLAYERS = f"random, rollout:N (plain tree search, N simulations a move), {_RUN}"


@dataclass(frozen=True)
class Agent:
    """A trained agent from a checkpoint.

    plugin: of its algorithm, as errors name it. rebind: makes the same algorithm for another game. counters: of the run
    when it saved the checkpoint: minutes, samples, learner_step, ...
    """

    model: str
    plugin: str
    algorithm: CompleteAlgorithm
    rebind: Callable[[Game | TeamGame], CompleteAlgorithm]
    weights: dict[str, torch.Tensor]
    counters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def game(self) -> Game | TeamGame:
        return self.algorithm.game

    def on(self, game: Game | TeamGame) -> Agent:
        """Return the same agent for a board of another size that its networks fit."""
        return replace(self, algorithm=self.rebind(game))

    @property
    def can_search(self) -> bool:
        """Whether the player takes a number of simulations."""
        return has_parameter(self.algorithm.make_player, "num_simulations")

    def make_player(
        self, num_simulations: int | None = None, device: str | None = None
    ) -> Player | TeamPlayer:
        """Make the player. num_simulations: per move; 0 for the network alone; None for the number in its config.

        device: such as "cpu" or "cuda:0"; None for a GPU if there is one. Raises UserError for a number of simulations
        if the plugin's player does not search.
        """
        import torch

        if isinstance(self.game, TeamGame):
            _refuse_simulations(self.game, num_simulations)
        make_player = self.algorithm.make_player
        overrides: dict[str, Any] = {}
        if has_parameter(make_player, "device"):
            overrides["device"] = device or ("cuda" if torch.cuda.is_available() else "cpu")
        if num_simulations is not None:
            require(
                self.can_search,
                f"num_simulations={num_simulations} (--simulations): the player of {self.model} does not search, its "
                "algorithm has no such setting: remove it.",
            )
            overrides["num_simulations"] = num_simulations
        with errors_of_plugin(self.plugin, "make_player"):
            player = make_player(self.weights, self.model, **overrides)
        protocol = TeamPlayer if isinstance(self.game, TeamGame) else Player
        missing = missing_members(player, protocol)
        require(
            not missing,
            f"{self.plugin}: the player that make_player returns lacks {', '.join(missing)}: add what the class "
            f"{protocol.__name__} in ddpzero/games/core/players.py describes.",
        )
        return player

    def fits(self, game: Game | TeamGame) -> bool:
        """Return whether the agent's networks can also play `game`."""
        with errors_of_plugin(self.plugin, "fits"):
            return self.algorithm.fits(game)


def split_level(text: str) -> tuple[str, int | None]:
    """Return a player's text without its level, and the level: ("quick", 3) for "quick:level3".

    None without one; a :level3 in the name of a folder is none. Raises UserError for a level that does not exist.
    """
    name, colon, level = text.rpartition(":level")
    if not (colon and name) or "/" in level or Path(text).is_dir():
        return text, None
    require(
        level in _LEVELS,
        f"player {text[:80]!r}: {level[:80]!r} is not a level: there are 1 (weakest) to {FULL_LEVEL} (full strength).",
    )
    return name, int(level)


def load_agent(text: str | Path) -> Agent:
    """Load the newest agent of a run, or the agent of a checkpoint, by folder or name. Raises UserError."""
    require(
        split_level(str(text))[1] is None,
        f"{text}: players in matches have such a level. Here the trained agent itself is meant: name "
        f"{split_level(str(text))[0]}, with --level if there is such an option.",
    )
    # Imported here because torch takes a second to import, and players without training do not need it.
    from ddpzero.run.checkpoint_content import load_weights

    released = load_weights(find_run(str(text)) or Path(text))
    try:
        settings = settings_from_dict(with_defaults(released.config))
    except ValueError as error:
        raise UserError(f"The config of {released.path} cannot be used here: {error}") from None
    rebind = partial(load_algorithm, settings)
    key = load_plugin(settings.algorithm).key
    algorithm = load_algorithm(settings)
    return Agent(released.model, key, algorithm, rebind, released.weights, released.counters)


def folder_of_agent(text: str) -> Path:
    """Return the folder of the run or the checkpoint that a text names, as an absolute path. Raises UserError."""
    found = find_run(text)
    if found is None:
        raise UserError(f"{text!r} is no run and no checkpoint: {why_unknown(text)}")
    return found.resolve()


def pinned_player(text: str, game: Game | TeamGame | None = None) -> str:
    """Return a player's text with a run replaced by the checkpoint that it names now.

    A run that trains names a newer one soon, so whoever makes a player more than once pins it first. game: see
    is_agent. Raises UserError.
    """
    from ddpzero.run.checkpoint_content import load_weights

    if not is_agent(text, game):
        return text
    name, level = split_level(text)
    pinned = str(load_weights(find_run(name) or Path(name)).path)
    return pinned if level is None else f"{pinned}:level{level}"


def require_agent_that_searches(
    texts: Sequence[str], game: Game | TeamGame | None, simulations: int | Sequence[int] | None
) -> None:
    """Raise UserError for --simulations if no player is a trained agent; for team games, parse_player does it."""
    if simulations is None or isinstance(game, TeamGame):
        return
    given = ",".join(map(str, [simulations] if isinstance(simulations, int) else simulations))
    require(
        any(is_agent(text, game) and split_level(text)[1] in (None, FULL_LEVEL) for text in texts),
        f"num_simulations={given} (--simulations) applies to trained agents, and none plays here "
        f"({', '.join(dict.fromkeys(texts))}) that has no number of its own: remove it, or give plain tree search its "
        "number, as in rollout:1000.",
    )


def is_agent(text: str, game: Game | TeamGame | None = None) -> bool:
    """Return whether `text` names a trained agent rather than a player without training.

    game: the game to be played; None for any board game. Raises UserError if `text` names neither.
    """
    where, allowed = "" if game is None else f" in {game.name}", ALLOWED_PLAYERS
    if isinstance(game, TeamGame):
        if text in game.spec.rule_agents:
            return False
        allowed = f"{', '.join(game.spec.rule_agents)}, {_RUN}"
    elif _plays_any_board_game(text):
        return False
    name, _ = split_level(text)
    require(
        find_run(name) is not None,
        f"player {text!r} is unknown{where}: {why_unknown(name)} Allowed: {allowed}.",
    )
    return True


@overload
def parse_player(
    text: str,
    game: Game,
    num_simulations: int | None = None,
    num_threads: int | None = None,
    device: str | None = None,
) -> Player: ...
@overload
def parse_player(
    text: str,
    game: TeamGame,
    num_simulations: int | None = None,
    num_threads: int | None = None,
    device: str | None = None,
) -> TeamPlayer: ...


def parse_player(
    text: str,
    game: Game | TeamGame,
    num_simulations: int | None = None,
    num_threads: int | None = None,
    device: str | None = None,
) -> Player | TeamPlayer:
    """Make the player that the user named. Raises UserError with the allowed names.

    num_simulations: for a trained agent without a level below the full strength, see Agent.make_player; other players
    ignore it. Must be None in team games,
    whose players do not search. num_threads: for rollout:N; None for one per core. device: see Agent.make_player.
    """
    if is_agent(text, game):
        name, level = split_level(text)
        agent = load_agent(name)
        if describe_game(agent.game) != describe_game(game):
            require(
                agent.fits(game),
                f"player {name} was trained on {describe_game(agent.game)}, but the game here is "
                f"{describe_game(game)}, which its networks do not fit.",
            )
            agent = agent.on(game)
        if level is not None:
            return _leveled_player(agent, level, num_simulations, device)
        return agent.make_player(num_simulations, device)
    if isinstance(game, TeamGame):
        _refuse_simulations(game, num_simulations)
        return RulePlayer(game, text)
    if text == "random":
        return RandomPlayer(game)
    return RolloutPlayer(game, _parse_num_simulations(text), num_threads)


def _leveled_player(
    agent: Agent, number: int, num_simulations: int | None, device: str | None
) -> LeveledPlayer:
    """Return an agent's player at a level. num_simulations: of the full strength."""
    level = level_of(number)
    player = agent.make_player(num_simulations if level is None else None, device)
    if not (isinstance(agent.game, Game) and isinstance(player, Thoughtful)):
        raise UserError(
            f"{agent.model}:level{number}: levels are for agents that search, and its player does not: name "
            f"{agent.model} alone."
        )
    if level is None:
        level = Level(int(getattr(player, "num_simulations", USUAL_SIMULATIONS)), 0.0)
    return LeveledPlayer(player, agent.game, level, f"{agent.model}:level{number}")


def any_game_of_players(texts: Sequence[str]) -> Game | TeamGame:
    """Return the game of the first player that is a trained agent. Raises UserError if there is none."""
    others = [text for text in texts if not _plays_any_board_game(text)]
    agents = [name for name, _ in map(split_level, others) if find_run(name) is not None]
    if agents:
        return load_agent(agents[0]).game
    if others:
        raise UserError(
            f"player {others[0]!r} is unknown: {why_unknown(split_level(others[0])[0])} To name a rule agent, give the "
            "game, too, as in --game snakes."
        )
    raise UserError(
        f"{' and '.join(texts)} can play any game: name one, as in --game connect_four."
    )


def game_of_players(texts: Sequence[str]) -> Game:
    """Do the same for tools that play board games only. Raises UserError for a team game."""
    game = any_game_of_players(texts)
    if isinstance(game, TeamGame):
        raise UserError(
            f"{' and '.join(texts)}: {game.name} is a team game, and this command is for games in which two players "
            "take turns."
        )
    return game


def _refuse_simulations(game: TeamGame, num_simulations: int | None) -> None:
    require(
        num_simulations is None,
        f"num_simulations={num_simulations} (--simulations): players of the team game {game.name} do not search: "
        "remove it.",
    )


def _plays_any_board_game(text: str) -> bool:
    return text == "random" or text.startswith("rollout:")


def _parse_num_simulations(text: str) -> int:
    digits = text.removeprefix("rollout:")
    is_number = digits.isascii() and digits.isdecimal() and len(digits) <= _MAX_DIGITS
    require(
        is_number and int(digits) >= 1,
        f"player {text[:80]!r}: {digits[:80]!r} is not a number of simulations: give a whole number from 1 on, as in "
        "rollout:1000.",
    )
    return int(digits)
