// Gomoku, as ddpzero/games/gomoku.py has it.
import { cellsInLines, DRAW, GOING_ON, makesLine, observeStones } from "./stones.js";

export function gomoku({ size, line, exact_five: exact, history }) {
  const numCells = size * size;
  return {
    numActions: numCells,
    inputShape: [3 + history, size, size],

    // recent: the last `history` moves, newest first.
    start: () => ({ cells: new Uint8Array(numCells), mover: 0, status: GOING_ON, plies: 0, recent: [] }),

    legal: ({ cells, status }) => Array.from(cells, (stone) => status === GOING_ON && stone === 0),

    play(position, cell) {
      const cells = position.cells.slice();
      cells[cell] = position.mover + 1;
      const plies = position.plies + 1;
      const recent = [cell, ...position.recent].slice(0, history);
      let status = GOING_ON;
      if (makesLine(cells, size, size, Math.floor(cell / size), cell % size, line, exact)) status = position.mover + 1;
      else if (plies === numCells) status = DRAW;
      return { cells, mover: 1 - position.mover, status, plies, recent };
    },

    observe(position, planes, at) {
      observeStones(position, planes, at);
      planes.fill(0, at + 3 * numCells, at + (3 + history) * numCells);
      position.recent.forEach((cell, age) => { planes[at + (3 + age) * numCells + cell] = 1; });
    },

    winningCells: ({ cells }) => cellsInLines(cells, size, size, line, exact),
  };
}
