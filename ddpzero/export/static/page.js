// A page that plays one game against one network, all of it in this browser.
import { html, render, useEffect, useMemo, useReducer, useRef, useState } from "./vendor/htm-preact-standalone.mjs";
import { Board } from "./board.js";
import { isInside, urlOf } from "./files.js";
import { makeGame } from "./games/games.js";
import { Match } from "./match.js";
import { loadNetwork } from "./network.js";
import { Analysis, Icon, Moves, Players, Segments } from "./panels.js";
import { viewBox } from "./shapes.js";
import { playerNames } from "./text.js";

const STRENGTHS = [[0, "none"], [32, "32"], [128, "128"], [512, "512"], [2000, "2000"]];
const SEATS = {
  first: ["person", "network"], second: ["network", "person"], both: ["person", "person"], none: ["network", "network"],
};

// What the board and the panels know of a game; see board.js.
function describe({ title, geometry, names }) {
  return { title, geometry, names, has_score: false };
}

// The cell that a move puts a stone on; -1 for none.
function placeOf(game, position, action) {
  const before = position.cells;
  return game.play(position, action).cells.findIndex((owner, cell) => owner > 0 && before[cell] === 0);
}

// at: the number of moves on the board.
function stateOf(match, at) {
  const { game, moves, positions } = match;
  const position = positions[at];
  const isEarlier = at < moves.length;
  const legal = [];
  if (!isEarlier) game.legal(position).forEach((is, action) => { if (is) legal.push(action); });
  const last = at - 1;
  // Of a game that is over: who played it, whoever plays the next one.
  const seats = match.isOver ? match.lastSeats : match.seats;
  const placed = last < 0 ? -1 : placeOf(game, positions[last], moves[last]);
  return {
    legal,
    places: legal.map((action) => placeOf(game, position, action)),
    board: Array.from(position.cells),
    mover: position.mover,
    is_over: match.isOver && !isEarlier,
    // As the panels name them.
    seats: seats.map((seat) => (seat === "network" ? "agent" : seat)),
    names: ["", ""],
    winning: match.isOver && !isEarlier ? game.winningCells(position) : [],
    placed: placed < 0 ? [] : [placed],
    at,
    line: moves,
    movers: positions.map(({ mover }) => mover),
  };
}

function thoughtsOf(match, state, names) {
  const found = match.thoughts;
  if (found === null) return null;
  const total = Math.max(1, found.visits);
  const byAction = new Map(found.moves.map((move) => [move.action, move]));
  const policyOf = (move) => (found.visits > 0 ? move.visits / total : move.prior);
  return {
    prior: state.legal.map((action) => byAction.get(action).prior),
    policy: state.legal.map((action) => policyOf(byAction.get(action))),
    wdl: found.outcome,
    is_proven: found.isProven,
    rootInfo: { visits: found.visits, scoreLead: null },
    moveInfos: found.moves.map((move) => ({
      action: move.action,
      move: names[move.action],
      visits: move.visits,
      winrate: (1 + move.value) / 2,
      prior: move.prior,
      is_proven: move.isProven,
      scoreLead: null,
      pv: move.line.map((action) => names[action]),
    })),
  };
}

function statusText(match, state, geometry, isLoaded) {
  if (state.at < state.line.length) return `After ${state.at} of ${state.line.length} moves.`;
  if (match.error !== null) return `The network cannot be used: ${match.error.message}`;
  if (!isLoaded) return "Loading the network …";
  const names = playerNames(geometry);
  if (match.result === 0) return "Draw.";
  if (match.result !== null) {
    const winner = match.result > 0 ? 0 : 1;
    const isMixed = new Set(state.seats).size > 1;
    if (!isMixed) return `${names[winner]} wins.`;
    return state.seats[winner] === "person" ? "You win." : "The network wins.";
  }
  const name = names[state.mover];
  if (!match.isPersonsTurn) return `${name} is thinking …`;
  return match.seats.includes("network") ? `Your move: ${name}.` : `${name} to move.`;
}

function App({ page, game, network }) {
  const [, draw] = useReducer((count) => count + 1, 0);
  const [isLoaded, setLoaded] = useState(false);
  const match = useMemo(() => {
    const evaluate = async (positions) => (await network)(positions);
    return new Match(game, evaluate, page.search, () => draw());
  }, []);
  useEffect(() => {
    network.then(() => setLoaded(true), (error) => match.fail(error));
  }, []);
  const [heat, setHeat] = useState("policy");
  const [hovered, setHovered] = useState(null);
  const [hint, setHint] = useState(null);
  const [seats, setSeats] = useState("first");
  // The number of moves after which the position is shown; null for the newest one.
  const [visited, setVisited] = useState(null);
  const shown = describe(page);
  const isEarlier = visited !== null && visited < match.moves.length;
  const state = stateOf(match, isEarlier ? visited : match.moves.length);
  const thoughts = isEarlier ? null : thoughtsOf(match, state, page.names);
  const jump = (to) => { if (to >= 0 && to <= match.moves.length) setVisited(to === match.moves.length ? null : to); };
  const isShown = match.isWatched && thoughts !== null;

  const play = (action) => {
    if (!match.isPersonsTurn || isEarlier) return;
    setHint(null);
    setHovered(null);
    match.play(action);
  };
  const showHint = () => {
    setVisited(null);
    match.hint().then(setHint);
  };
  const change = (action) => {
    setVisited(null);
    setHint(null);
    setHovered(null);
    action();
  };
  const latest = useRef(null);
  latest.current = { jump, at: state.at };
  useEffect(() => {
    const onKey = (event) => {
      if (event.target.closest("select, input") || event.metaKey || event.ctrlKey || event.altKey) return;
      if (event.key === "u" && match.moves.length > 0) change(() => match.undo());
      if (event.key === "n") change(() => match.start());
      if (event.key === "h" && match.isPersonsTurn) showHint();
      const { jump: jumpNow, at } = latest.current;
      if (event.key === "ArrowLeft") jumpNow(at - 1);
      if (event.key === "ArrowRight") jumpNow(at + 1);
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, []);

  const outlook = state.is_over
    ? [match.result > 0 ? 1 : 0, match.result === 0 ? 1 : 0, match.result < 0 ? 1 : 0]
    : isShown ? (state.mover === 0 ? thoughts.wdl : thoughts.wdl.slice().reverse()) : null;
  const box = viewBox(page.geometry);
  const unplaced = state.legal.filter((action) => page.geometry.actions[action] === null);
  const line = useMemo(() => lineShown(match, thoughts, hovered), [hovered, match.moves.length, isEarlier]);

  return html`
    <div class="page">
      <header class="top"><h1>${page.title}</h1></header>
      <main class="table">
        <div class="left" style=${{ "--board-aspect": box[2] / box[3] }}>
          <${Players} game=${shown} state=${state} agentName="Network" outlook=${outlook} />
          <${Board} game=${shown} state=${state} thoughts=${isShown ? thoughts : null} heat=${heat} line=${line}
            hint=${isEarlier ? null : hint} onPlay=${play} />
          <p class="status" role="status">${statusText(match, state, page.geometry, isLoaded)}</p>
          ${match.isPersonsTurn && !isEarlier && unplaced.length > 0 && html`
            <div class="action-buttons">
              ${unplaced.map((action) => html`<button class="primary" onClick=${() => play(action)}>${page.names[action]}</button>`)}
            </div>`}
          <div class="controls">
            <button onClick=${() => change(() => match.start())}><${Icon} name="plus" />New game</button>
            <button disabled=${match.moves.length === 0} onClick=${() => change(() => match.undo())}>
              <${Icon} name="undo" />Take back
            </button>
            <button disabled=${!match.isPersonsTurn} onClick=${showHint}>
              <${Icon} name="bulb" />Hint
            </button>
          </div>
        </div>
        <div class="right">
          <section class="card settings">
            <div class="setting">
              <h2>You play</h2>
              <${Segments} label="You play" value=${seats}
                options=${[...playerNames(page.geometry).map((name, player) => [["first", "second"][player], name]), ["both", "both"], ["none", "neither"]]}
                onChange=${(key) => { setSeats(key); change(() => match.setSeats(SEATS[key])); }} />
            </div>
            <div class="setting">
              <h2>Simulations a move</h2>
              <${Segments} label="Simulations a move" options=${STRENGTHS} value=${match.simulations}
                onChange=${(simulations) => match.setSimulations(simulations)} />
            </div>
          </section>
          <${Analysis} game=${shown} thoughts=${thoughts} mover=${state.mover} isOver=${state.is_over} isOn=${match.isWatched} heat=${heat} onHeat=${setHeat}
            onSwitch=${(isOn) => match.setWatched(isOn)} onHover=${setHovered} onPlay=${play}
            onReview=${null} isTurn=${match.isPersonsTurn && !isEarlier} />
          <${Moves} game=${shown} state=${state} onJump=${jump} />
        </div>
      </main>
      <footer class="about small">
        <p>The network <a href=${urlOf("card.json")} download=${isInside("card.json") ? "card.json" : undefined}>${page.model}</a> runs in this browser; nothing is sent anywhere.</p>
      </footer>
    </div>`;
}

// The moves of a line that is pointed at, as [action, player, cell].
function lineShown(match, thoughts, action) {
  const info = action === null || thoughts === null ? undefined : match.thoughts.moves.find((move) => move.action === action);
  if (info === undefined) return [];
  const shown = [];
  let position = match.position;
  for (const next of info.line) {
    shown.push([next, position.mover, placeOf(match.game, position, next)]);
    position = match.game.play(position, next);
  }
  return shown;
}

const app = document.getElementById("app");
const page = JSON.parse(document.getElementById("page").textContent);
const game = makeGame(page.game);
app.className = "";
// The board is there at once, and one can play the first move before the network has come.
render(html`<${App} page=${page} game=${game} network=${loadNetwork(game)} />`, app);
