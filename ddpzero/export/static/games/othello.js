// Othello, as ddpzero/games/othello.py has it. The last action is the pass.
import { DRAW, GOING_ON, observeStones } from "./stones.js";

const DIRECTIONS = [[-1, -1], [-1, 0], [-1, 1], [0, -1], [0, 1], [1, -1], [1, 0], [1, 1]];

export function othello({ size }) {
  const numCells = size * size;

  // The opponent's discs that a disc of `player` on a cell turns over.
  function turned(cells, player, cell) {
    if (cells[cell] !== 0) return [];
    const [row, column] = [Math.floor(cell / size), cell % size];
    return DIRECTIONS.flatMap(([down, right]) => {
      const line = [];
      for (let step = 1; ; step++) {
        const [r, c] = [row + step * down, column + step * right];
        if (r < 0 || r >= size || c < 0 || c >= size || cells[r * size + c] === 0) return [];
        if (cells[r * size + c] === player + 1) return line;
        line.push(r * size + c);
      }
    });
  }

  const places = (cells, player) => Array.from(cells, (_, cell) => turned(cells, player, cell).length > 0);

  function count(cells, player) {
    return cells.reduce((sum, disc) => sum + (disc === player + 1 ? 1 : 0), 0);
  }

  // The position with this board: its mover's places, and the result if nobody can place a disc.
  function positionOf(cells, mover) {
    const possible = places(cells, mover);
    const canPlace = possible.includes(true);
    let status = GOING_ON;
    if (!canPlace && !places(cells, 1 - mover).includes(true)) {
      const difference = count(cells, 0) - count(cells, 1);
      status = difference === 0 ? DRAW : difference > 0 ? 1 : 2;
    }
    return { cells, mover, status, possible, mustPass: !canPlace && status === GOING_ON };
  }

  return {
    numActions: numCells + 1,
    inputShape: [4, size, size],

    start() {
      const cells = new Uint8Array(numCells);
      const upper = size / 2 - 1;
      cells[upper * size + upper + 1] = cells[(upper + 1) * size + upper] = 1;
      cells[upper * size + upper] = cells[(upper + 1) * size + upper + 1] = 2;
      return positionOf(cells, 0);
    },

    legal: ({ possible, mustPass }) => [...possible, mustPass],

    play({ cells: before, mover }, action) {
      const cells = before.slice();
      if (action < numCells) {
        for (const cell of [action, ...turned(before, mover, action)]) cells[cell] = mover + 1;
      }
      return positionOf(cells, 1 - mover);
    },

    observe(position, planes, at) {
      observeStones(position, planes, at);
      position.possible.forEach((canPlace, cell) => { planes[at + 3 * numCells + cell] = canPlace ? 1 : 0; });
    },

    winningCells: () => [],
  };
}
