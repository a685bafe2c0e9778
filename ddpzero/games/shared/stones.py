"""What games share in which two players place stones on cells: how a game stands, and the observation planes."""

from __future__ import annotations

from ddpzero.games.core.compiled import compiled

# The status entry of a position: GOING_ON, 1 or 2 when that player (index + 1) has won, DRAW.
GOING_ON = 0
DRAW = 3


@compiled
def return_of_status(status, player):
    """The result of `player` (0 or 1) in a finished game: 1 won, 0 drawn, -1 lost."""
    if status == DRAW:
        return 0.0
    return 1.0 if status == player + 1 else -1.0


@compiled
def observe_stones(cells, num_cells, player, planes):
    """Write three planes from the side of `player`: own stones, the opponent's stones, ones.

    cells: integer array whose first num_cells entries are 0 empty, 1 first player, 2 second player.
    planes: `[3 * num_cells]` uint8. The plane of ones marks the board for zero-padded convolutions.
    """
    own, other = player + 1, 2 - player
    # One loop a plane: each is vectorised; together they are not.
    for cell in range(num_cells):
        planes[cell] = cells[cell] == own
    for cell in range(num_cells):
        planes[num_cells + cell] = cells[cell] == other
    for cell in range(num_cells):
        planes[2 * num_cells + cell] = 1
