"""Moves as GTP makes them, whoever's turn it is, in games whose rules know a turn.

GTP may let a color play twice, and go on after the game has ended. In Go

- a move out of turn is preceded by a pass of the opponent, and a pass out of turn changes nothing;
- such a pass and a pass that was played never end the game together: instead of it, the pass before is taken back,
  which leaves the same board to the same player;
- moves after the two passes that ended a game take both of them back; a third pass changes nothing;
- a player that is asked for a move out of turn does not answer the pass before it with a pass: the rules would count
  two passes, and nobody made the first one.

In other games a player moves out of turn only where the opponent must pass, as in Othello.
"""

from __future__ import annotations

from ddpzero.games import Game
from ddpzero.play.episode import PlayedEpisode
from ddpzero.play.protocols.gtp.lines import Refused

GAME_OVER = "the game is over"


def pass_of(game: Game) -> int | None:
    """Return the action that passes; None in a game without one."""
    cells = game.spec.action_cells
    others = [] if cells is None else [a for a, cell in enumerate(cells.tolist()) if cell < 0]
    return others[0] if len(others) == 1 and game.action_name(others[0]).lower() == "pass" else None


def can_pass_always(game: Game) -> bool:
    """Return whether the rules are those of Go."""
    return game.module.__name__ == "ddpzero.games.go.game"


def ended_by_passes(episode: PlayedEpisode) -> bool:
    """Return whether two passes have ended a game of Go."""
    passes = pass_of(episode.game)
    return (
        can_pass_always(episode.game) and episode.is_over and episode.actions[-2:] == [passes] * 2
    )


def make_move(episode: PlayedEpisode, player: int, action: int) -> None:
    """Make a player's move, see above. Raises Refused, and changes nothing, if it is not legal."""
    is_pass = can_pass_always(episode.game) and action == pass_of(episode.game)
    if is_pass and (ended_by_passes(episode) or (episode.current_player != player)):
        return
    before = list(episode.actions)
    try:
        give_turn(episode, player)
        episode.play(action)
    except (ValueError, Refused):
        set_actions(episode, before)
        raise Refused("illegal move") from None


def give_turn(episode: PlayedEpisode, player: int) -> bool:
    """Let a player be the next to move, see above; return whether the opponent passes for that.

    Raises Refused if it cannot be.
    """
    if ended_by_passes(episode):
        episode.take_back_last()
        episode.take_back_last()
    if episode.is_over:
        raise Refused(GAME_OVER)
    if episode.current_player == player:
        return False
    passes = pass_of(episode.game)
    takes_back = can_pass_always(episode.game) and episode.last_action == passes
    if takes_back:
        episode.take_back_last()
    elif passes is not None and passes in episode.legal_actions():
        episode.play(passes)
    else:
        raise Refused("it is the other color's turn")
    if episode.is_over:
        raise Refused(GAME_OVER)
    return not takes_back


def set_actions(episode: PlayedEpisode, actions: list[int]) -> None:
    """Take back moves and make others, so that the episode consists of these."""
    num_kept = 0
    for known, action in zip(episode.actions, actions, strict=False):
        if known != action:
            break
        num_kept += 1
    while len(episode.actions) > num_kept:
        episode.take_back_last()
    for action in actions[num_kept:]:
        episode.play(action)
