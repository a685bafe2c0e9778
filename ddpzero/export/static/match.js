// One game on the page: its moves, whose turn it is, and the search that thinks about its position.
import { GOING_ON, resultOf } from "./games/stones.js";
import { Search } from "./search.js";

// The page is drawn at least this often while the search runs.
const MOST_MS_WITHOUT_A_PICTURE = 30;
const LEAST_MS_BETWEEN_MOVES = 350;

export class Match {
  // onChange: called after every change. settings: of the search.
  constructor(game, evaluate, settings, onChange) {
    this.game = game;
    this.onChange = onChange;
    this.search = new Search(game, evaluate, settings);
    this.seats = ["person", "network"];
    this.lastSeats = this.seats; // when the last move was made
    this.simulations = 128;
    this.isWatched = false; // whether it also thinks when a person is to move, to be watched
    this.error = null;
    this.thoughts = null;
    this.thinking = Promise.resolve();
    this.turn = 0; // counts changes of the position: a search of an earlier one stops
    this.start();
  }

  start() {
    this.moves = [];
    this.positions = [this.game.start()];
    this.searched = null;
    this.#goOn();
  }

  get position() {
    return this.positions.at(-1);
  }

  get isOver() {
    return this.position.status !== GOING_ON;
  }

  get isPersonsTurn() {
    return !this.isOver && this.seats[this.position.mover] === "person";
  }

  // The result for the first player: 1 win, 0 draw, -1 loss; null while the game goes on.
  get result() {
    return this.isOver ? resultOf(this.position, 0) : null;
  }

  setSeats(seats) {
    this.seats = seats;
    this.#goOn();
  }

  setSimulations(simulations) {
    this.simulations = simulations;
    this.#goOn();
  }

  setWatched(isWatched) {
    this.isWatched = isWatched;
    this.#goOn();
  }

  play(action) {
    if (this.isOver || !this.game.legal(this.position)[action]) return;
    this.lastSeats = this.seats;
    this.moves.push(action);
    this.positions.push(this.game.play(this.position, action));
    this.#goOn();
  }

  // Take back moves until a person is to move, or all of them.
  undo() {
    do {
      this.moves.pop();
      this.positions.pop();
    } while (this.moves.length > 0 && !this.isPersonsTurn);
    this.#goOn();
  }

  fail(error) {
    this.error = error;
    this.onChange();
  }

  // Return the best move after a full search.
  async hint() {
    const turn = this.turn;
    await this.#think(turn, 0);
    return turn === this.turn && this.error === null ? this.search.thoughts().moves[0].action : null;
  }

  // Let the network think and move, if it is to move; let it think if it is watched.
  #goOn() {
    const turn = ++this.turn;
    this.thoughts = null;
    this.onChange();
    if (this.isOver || (this.isPersonsTurn && !this.isWatched)) return;
    this.#think(turn, this.isPersonsTurn ? 0 : LEAST_MS_BETWEEN_MOVES).then(() => {
      if (turn === this.turn && !this.isPersonsTurn && this.error === null) this.play(this.search.thoughts().moves[0].action);
    });
  }

  // Search the position of a turn, after the searches before it have stopped; take at least so many milliseconds.
  #think(turn, leastMs) {
    this.thinking = this.thinking.then(() => this.#search(turn, leastMs)).catch((error) => this.fail(error));
    return this.thinking;
  }

  async #search(turn, leastMs) {
    if (turn !== this.turn) return;
    this.#followMoves();
    const began = performance.now();
    let drawn = began;
    await this.search.think(this.simulations, async () => {
      if (performance.now() - drawn > MOST_MS_WITHOUT_A_PICTURE) {
        this.#tell(turn);
        await pause(0);
        drawn = performance.now();
      }
      return turn === this.turn;
    });
    this.#tell(turn);
    await pause(Math.max(0, leastMs - (performance.now() - began)));
  }

  // Let the search think about this position; after moves from the one that it knows, it keeps what it found.
  #followMoves() {
    const known = this.searched;
    if (known !== null && known.every((action, ply) => this.moves[ply] === action)) {
      for (const action of this.moves.slice(known.length)) this.search.advance(action);
    } else this.search.begin(this.position);
    this.searched = [...this.moves];
  }

  #tell(turn) {
    if (turn !== this.turn) return;
    this.thoughts = this.search.thoughts();
    this.onChange();
  }
}

const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });
