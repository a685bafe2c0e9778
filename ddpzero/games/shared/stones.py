"""The status of an episode and the observation planes, shared by games in which two players place stones on cells."""

from __future__ import annotations

from ddpzero.games.core.compiled import compiled

# The status entry of a position: GOING_ON, 1 or 2 if that player (index + 1) has won, DRAW.
GOING_ON = 0
DRAW = 3


@compiled
def return_of_status(status, player):
    """Return the result of `player` (0 or 1) in a finished episode: 1 win, 0 draw, -1 loss."""
    if status == DRAW:
        return 0.0
    return 1.0 if status == player + 1 else -1.0


@compiled
def observe_stones(cells, num_cells, player, planes):
    """Write three planes from the view of `player`: own stones, the opponent's stones, ones.

    cells: integer array whose first num_cells entries are 0 empty, 1 first player, 2 second player.
    planes: `[3 * num_cells]` uint8. The plane of ones marks the board for zero-padded convolutions.
    """
    own, other = player + 1, 2 - player
    # One loop per plane: separate loops are vectorized, a combined one is not.
    for cell in range(num_cells):
        planes[cell] = cells[cell] == own
    for cell in range(num_cells):
        planes[num_cells + cell] = cells[cell] == other
    for cell in range(num_cells):
        planes[2 * num_cells + cell] = 1
