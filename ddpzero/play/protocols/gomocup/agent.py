"""A trained agent for five in a row: its engines for the boards and rules that a manager asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ddpzero.arena.agents import load_agent
from ddpzero.games import Game, variation
from ddpzero.games.core.compile_once import NotCompiledError, only_loading
from ddpzero.games.core.players import Player, Thoughtful
from ddpzero.play.clock import TimeControl
from ddpzero.play.engine import Engine
from ddpzero.play.protocols.gomocup.errors import CommandError
from ddpzero.play.strength import Strength, make_engine, warm_up
from ddpzero.system.allocator import release_freed_memory
from ddpzero.system.errors import UserError, require
from ddpzero.system.memory import largest_fitting

# Boards larger than these do not exist for the rules.
_SIZES = range(5, 26)
# Of memory that is not the search's and that a game may still take.
_RESERVE_BYTES = 16 * 2**20


@dataclass(frozen=True)
class FiveInARow:
    """name: of the agent. game: that it was trained on. player_on: makes its player for another size or rule.
    compile_apart: compiles for a size in a process of its own; None: this process compiles.

    player_on raises UserError for a board that its network does not fit.
    """

    name: str
    game: Game
    player_on: Callable[[Game], Player]
    compile_apart: Callable[[int], None] | None = None

    @property
    def size(self) -> int:
        """Of the board that it was trained on."""
        return int(self.game.parameters.size)

    def engines(self, size: int, strength: Strength) -> dict[bool, Engine]:
        """Return engines for five or more, and for exactly five, whose first moves are not late. Raises CommandError.

        Both, because managers tell the rule after the size, when there is no time left to load anything.
        """
        engines = {rule: self._engine(size, rule, strength) for rule in (False, True)}
        self._load_code(size, engines)
        release_freed_memory()
        # Again, for the memory in use is measured next, and a search takes some for the network.
        warm_up(engines[False])
        return engines

    def _load_code(self, size: int, engines: Mapping[bool, Engine]) -> None:
        """Load the code of engines. What compiling it leaves behind, 100 MB, would stay in this process."""
        if self.compile_apart is not None:
            try:
                with only_loading():
                    warm_up(*engines.values())
                return
            except NotCompiledError:
                self.compile_apart(size)
        warm_up(*engines.values())

    def _engine(self, size: int, exactly_five: bool, strength: Strength) -> Engine:
        if size not in _SIZES:
            raise CommandError(
                f"board size {size} is not supported: {_SIZES.start} to {_SIZES.stop - 1} are"
            )
        game = variation(self.game, size=size, exact_five=exactly_five)
        # With room for searches that only time limits: the manager will tell it.
        if strength.time.is_unlimited:
            strength = replace(strength, time=TimeControl(move_seconds=1.0))
        try:
            return make_engine(self.player_on(game), game, strength)
        except UserError as error:
            raise CommandError(" ".join(str(error).split())) from None


def load_five_in_a_row(text: str, compile_apart: Callable[[int], None] | None = None) -> FiveInARow:
    """Load the agent of a run or a checkpoint. Raises UserError unless it plays five in a row.

    compile_apart: see FiveInARow.
    """
    agent = load_agent(text)
    game = agent.game
    is_ours = isinstance(game, Game) and game.module.__name__ == "ddpzero.games.gomoku"
    require(
        is_ours and getattr(game.parameters, "line", None) == 5,
        f"{text} plays {game.name}: Gomocup's programs play five in a row, so it takes an agent for game=gomoku with "
        "game.line=5.",
    )
    assert isinstance(game, Game)

    def player_on(board: Game) -> Player:
        require(
            board.parameters == game.parameters or agent.fits(board),
            f"board size {board.parameters.size} is not supported: the network of {agent.model} fits boards of "
            f"{game.parameters.size} only (network.value_head=dense)",
        )
        player: Any = agent.on(board).make_player()
        return player

    return FiveInARow(agent.model, game, player_on, compile_apart)


def simulations_within(engine: Engine, memory_bytes: int, idle_bytes: int) -> int:
    """Return the simulations of a search with which this process has at most so much memory for itself.

    idle_bytes: that it has before the search, see private_bytes. Raises CommandError if not even one fits.
    """
    player = engine.player
    assert isinstance(player, Thoughtful)
    left = memory_bytes - idle_bytes - _RESERVE_BYTES
    if left < player.thinker_size_bytes(1):
        needed = idle_bytes + _RESERVE_BYTES + player.thinker_size_bytes(100)
        raise CommandError(
            f"INFO max_memory {memory_bytes} is too little: at least {needed} are needed"
        )
    return largest_fitting(player.thinker_size_bytes, engine.max_simulations, left)
