// Connect Four, as ddpzero/games/connect_four.py has it.
import { cellsInLines, DRAW, GOING_ON, makesLine, observeStones } from "./stones.js";

export function connectFour({ rows, columns, line }) {
  const numCells = rows * columns;
  return {
    numActions: columns,
    inputShape: [3, rows, columns],

    start: () => ({ cells: new Uint8Array(numCells), mover: 0, status: GOING_ON, plies: 0 }),

    legal: ({ cells, status }) =>
      Array.from({ length: columns }, (_, column) => status === GOING_ON && cells[column] === 0),

    play(position, column) {
      const cells = position.cells.slice();
      let row = rows - 1;
      while (cells[row * columns + column] !== 0) row--;
      cells[row * columns + column] = position.mover + 1;
      const plies = position.plies + 1;
      let status = GOING_ON;
      if (makesLine(cells, rows, columns, row, column, line, false)) status = position.mover + 1;
      else if (plies === numCells) status = DRAW;
      return { cells, mover: 1 - position.mover, status, plies };
    },

    observe: observeStones,

    winningCells: ({ cells }) => cellsInLines(cells, rows, columns, line, false),
  };
}
