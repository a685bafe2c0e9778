"""The board that GTP's commands change: its game, the stones that were set up, and the moves since then."""

from __future__ import annotations

from dataclasses import dataclass

from ddpzero.games import Game
from ddpzero.play.episode import PlayedEpisode
from ddpzero.play.protocols.gtp.lines import Refused
from ddpzero.play.protocols.gtp.turns import give_turn, make_move, pass_of

_BAD_STONES = "these stones cannot be on the board together"


@dataclass(frozen=True)
class Move:
    """player: 0 black, 1 white."""

    player: int
    action: int


@dataclass(frozen=True)
class Turn:
    """A position with a player to move, whoever's turn it is.

    actions: those that lead to it. pointless: the player's action that means nothing there although it is legal, as
    others are: to answer a pass that nobody made with a pass. None if there is none.
    """

    player: int
    actions: list[int]
    pointless: int | None = None


class Table:
    """See above. episode: the position, as the game's rules have it; see turns.py.

    num_handicap_stones: among the stones that were set up. next_player: who moves next, as GTP sees it.
    """

    def __init__(self, game: Game) -> None:
        self.clear(game)

    def clear(self, game: Game) -> None:
        """Begin a game."""
        self.game = game
        self.episode = PlayedEpisode(self.game)
        self.stones: tuple[Move, ...] = ()
        self.moves: list[Move] = []
        self.num_handicap_stones = 0
        self._first_player: int | None = None

    @property
    def is_new(self) -> bool:
        return not self.stones and not self.moves

    @property
    def next_player(self) -> int:
        if self.moves or self._first_player is None:
            return self.episode.current_player
        return self._first_player

    def play(self, player: int, action: int) -> None:
        """Make a move. Raises Refused, and changes nothing, if it is not legal."""
        make_move(self.episode, player, action)
        self.moves.append(Move(player, action))

    def undo(self, num_moves: int = 1) -> None:
        """Take back moves, not stones that were set up. Raises Refused, and changes nothing, if there are fewer."""
        if not 0 <= num_moves <= len(self.moves):
            raise Refused("cannot undo")
        del self.moves[len(self.moves) - num_moves :]
        self.episode = self._replayed(self.game)

    def set_up(
        self, stones: list[Move], first_player: int | None = None, num_handicap_stones: int = 0
    ) -> None:
        """Begin a game with these stones, by moves that capture nothing. Raises Refused, and changes nothing, if that
        cannot be.

        first_player: None for the one whose turn it is after the last stone.
        """
        episode = PlayedEpisode(self.game)
        try:
            for stone in stones:
                make_move(episode, stone.player, stone.action)
        except Refused:
            raise Refused(_BAD_STONES) from None
        board = self.game.board(episode.position)
        if any(board[stone.action] != stone.player + 1 for stone in stones):
            raise Refused(_BAD_STONES)
        self.clear(self.game)
        self.stones, self.episode = tuple(stones), episode
        self._first_player = first_player
        self.num_handicap_stones = num_handicap_stones

    def set_first_player(self, player: int) -> None:
        """Say who moves first, before any move is made. Raises Refused, and changes nothing, after one."""
        if self.moves:
            raise Refused("moves have been made: the player is theirs")
        self._first_player = player

    def change_rules(self, game: Game) -> None:
        """Go on with other rules. Raises Refused, and changes nothing, if a move would not have been legal."""
        self.episode = self._replayed(game)
        self.game = game

    def turn_of(self, player: int) -> Turn:
        """Return the position with a player to move. Raises Refused if there is none."""
        episode = PlayedEpisode(self.game)
        for action in self.episode.actions:
            episode.play(action)
        is_given = give_turn(episode, player)
        passes = pass_of(self.game)
        legal = episode.legal_actions()
        is_pointless = is_given and passes in legal and len(legal) > 1
        return Turn(player, episode.actions, passes if is_pointless else None)

    def _replayed(self, game: Game) -> PlayedEpisode:
        episode = PlayedEpisode(game)
        for move in (*self.stones, *self.moves):
            make_move(episode, move.player, move.action)
        return episode
