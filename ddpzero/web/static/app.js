// The page: one game against an agent. All rules and searches are the server's; this only shows and asks.
import { html, render, useEffect, useReducer, useRef, useState } from "./vendor/htm-preact-standalone.mjs";
import { Board, ownersOf } from "./board.js";
import { connect } from "./connection.js";
import { Analysis, Icon, Moves, Opponent, Players, Segments, Walk } from "./panels.js";
import { GamesPanel, ReviewPanel, Riddle, USUAL_DEPTH, isSameLine, saveFile, withReviewed, worstMoves } from "./review.js";
import { viewBox } from "./shapes.js";
import { TeamGame } from "./team.js";
import { RunChooser, TrainingPanel, useOffered, useReplay, useTraining } from "./training.js";
import { count, duration, percent, playerNames } from "./text.js";

const ERROR_SECONDS = 8;
// The server takes messages of 256 KiB.
const MAX_TEXT = 260_000;
const tooLong = (name) => `${name} is too long: a game has at most ${MAX_TEXT / 1000} kB.`;
const EMPTY = {
  link: "connecting", refusal: null, games: [], runs: [], game: null, state: null, thoughts: null, exact: null, outlook: null,
  hint: null, isAsked: false,
  error: null, preparing: null, coming: null, review: null, guessed: null, stored: null, teamGame: null, teamState: null,
};

function reduce(model, event) {
  if (["state", "hint", "error"].includes(event.type)) model = { ...model, isAsked: false };
  switch (event.type) {
    case "asked":
      return { ...model, isAsked: true };
    case "open":
      return { ...model, link: "open", refusal: null };
    case "lost":
      return { ...model, link: event.isRefused ? "refused" : "lost" };
    case "refused":
      return { ...model, refusal: event.text };
    case "welcome":
      return { ...model, games: event.games };
    case "offered":
      return withOffered(model, event);
    case "preparing":
      return { ...model, preparing: event.text || null };
    case "game":
      // The earlier game stays on the screen until the first position of this one comes.
      return { ...model, coming: event };
    case "state": {
      if (model.coming !== null && model.coming.key === event.game) {
        const fresh = {
          review: null, stored: null, thoughts: null, exact: null, hint: null, outlook: null, preparing: null, coming: null, teamState: null,
        };
        return { ...model, ...fresh, game: model.coming, state: event };
      }
      const isSame = model.state !== null && model.state.position === event.position;
      if (isSame) return { ...model, state: event };
      return { ...model, state: event, thoughts: null, exact: null, hint: null, outlook: event.result ? certain(event.result) : model.outlook };
    }
    case "team_game":
      return { ...model, teamGame: event };
    case "team_state":
      return { ...model, teamState: event, game: null, state: null, preparing: null };
    case "thoughts":
      if (model.state === null || event.position !== model.state.position) return model;
      return { ...model, thoughts: event, outlook: outlookOf(event) };
    case "exact":
      return model.state !== null && event.position === model.state.position ? { ...model, exact: event } : model;
    case "review":
      return model.state === null ? model : { ...model, review: withReviewed(model.review, event, model.state.line) };
    case "begun":
    case "opened":
      return { ...model, review: null };
    case "guessed":
      return { ...model, guessed: event };
    case "stored":
      return { ...model, stored: event.games };
    case "hint":
      return model.state !== null && event.position === model.state.position ? { ...model, hint: event } : model;
    case "error":
      return { ...model, error: event.text };
    case "error is read":
      return { ...model, error: null };
    default:
      return model;
  }
}

// What is the same stays the same object: nothing of it is drawn again.
function withOffered(model, { game: key, games, runs, agents }) {
  const newer = (known, offered) => (JSON.stringify(known) === JSON.stringify(offered) ? known : offered);
  const withAgents = (game) => {
    if (game === null || game.key !== key) return game;
    const known = newer(game.agents, agents);
    return known === game.agents ? game : { ...game, agents: known };
  };
  return {
    ...model, games: newer(model.games, games), runs: newer(model.runs, runs),
    game: withAgents(model.game), teamGame: withAgents(model.teamGame),
  };
}

// A game with everything that it takes to go on with it.
function gameOf(game, { line, at, is_over: isOver, seats, agent, checkpoint, analyzes, resigns, simulations, seconds, level }) {
  const strength = level !== null ? { level } : seconds !== null ? { seconds } : { simulations };
  return { key: game.key, moves: line, at, isOver, seats, agent, checkpoint, analyzes, resigns, strength };
}

// For this tab, so that the game outlives that the page is loaded again.
function keepGame(one) {
  if (one.isOver || one.moves.length === 0) sessionStorage.removeItem("game");
  else sessionStorage.setItem("game", JSON.stringify(one));
}

// Taken away: a game that cannot be begun is not tried twice.
function takeKeptGame() {
  const text = sessionStorage.getItem("game");
  sessionStorage.removeItem("game");
  return JSON.parse(text);
}

// The probabilities that the first player wins, of a draw, and that the second one wins.
function outlookOf({ wdl, rootInfo }) {
  return rootInfo.currentPlayer === 0 ? wdl : [wdl[2], wdl[1], wdl[0]];
}

function certain({ winner }) {
  return winner === null ? [0, 1, 0] : winner === 0 ? [1, 0, 0] : [0, 0, 1];
}

function usePreference(name, initial) {
  const [value, setValue] = useState(() => localStorage.getItem(name) ?? initial);
  return [value, (next) => {
    localStorage.setItem(name, next);
    setValue(next);
  }];
}

function App() {
  const [model, dispatch] = useReducer(reduce, EMPTY);
  const [heat, setHeat] = usePreference("heat", "policy");
  const [mode, setMode] = useState("play");
  const [teamMode, setTeamMode] = useState("watch");
  const [theme, setTheme] = useState(currentTheme);
  const [hoveredMove, setHoveredMove] = useState(null);
  const [reviewedLine, setReviewedLine] = useState(null);
  const [riddle, setRiddle] = useState(null);
  const [chosenRun, setChosenRun] = useState(null);
  // The game that is played, while another one may be reviewed or replayed.
  const gameBefore = useRef(null);
  const modeNow = useRef("play");
  const send = useRef(null);
  const latest = useRef(model);
  latest.current = model;

  useEffect(() => {
    send.current = connect({
      onMessage: (message) => {
        dispatch(message);
        if (message.type === "welcome") resume(message.games);
        if (message.type === "opened") openedGame();
        if (message.type === "file") saveFile(message);
      },
      onOpen: () => dispatch({ type: "open" }),
      onLost: (isRefused) => dispatch({ type: "lost", isRefused }),
    });
  }, []);

  // Begin the game of the address, or go on with the one that was played when the connection broke.
  function resume(games) {
    const { game, state, teamGame, teamState } = latest.current;
    if (teamState !== null && games.some((one) => one.key === teamGame.key)) {
      begin(teamGame.key);
      teamState.seats.forEach((seat, team) => send.current({ type: "team", team, ...seat }));
      send.current({ type: "pace", steps_per_second: teamState.steps_per_second, paused: teamState.paused });
      return;
    }
    if (state !== null && games.some((one) => one.key === game.key)) return goOn(gameOf(game, state));
    const wanted = decodeURIComponent(location.hash.slice(1));
    const kept = takeKeptGame();
    if (kept !== null && games.some((one) => one.key === kept.key) && (wanted === "" || wanted === kept.key)) return goOn(kept);
    const found = games.find((one) => one.key === wanted) || games[0];
    if (localStorage.getItem("analyzes") === "no") send.current({ type: "set", analyzes: false });
    begin(found.key);
  }

  // A game as gameOf tells it, with the same agent.
  function goOn({ key, moves, at, seats, agent, checkpoint, resigns, analyzes, strength }) {
    sendBegin(key, moves, at);
    if (agent !== null) send.current({ type: "set", agent, ...(checkpoint ? { checkpoint } : {}) });
    send.current({ type: "set", seats, analyzes, resigns, ...strength });
    return undefined;
  }

  function sendBegin(key, moves, at) {
    dispatch({ type: "begun" });
    send.current({ type: "begin", game: key, moves, at });
  }

  // Nobody but the person moves while games are reviewed or replayed; the game that is played waits for its players.
  function enter(next) {
    const { state, game } = latest.current;
    if (modeNow.current === "play") {
      gameBefore.current = gameOf(game, state);
      // The seats that were asked for may not have come yet.
      if (!state.seats.includes("agent")) gameBefore.current.seats = ["person", "agent"];
    }
    if (next === "play") goBackToGame();
    else {
      if (modeNow.current === "training") goBackToGame();
      send.current({ type: "set", seats: ["person", "person"] });
    }
    if (next === "training") {
      setChosenRun(null);
      send.current({ type: "set", analyzes: false });
      sendBegin(game.key, [], 0);
    }
    leaveFor(next);
  }

  function reviewGame() {
    enter("review");
    send.current({ type: "review", simulations: USUAL_DEPTH });
  }

  function leaveFor(next) {
    modeNow.current = next;
    setMode(next);
    setRiddle(null);
  }

  // The game that was played before games were reviewed or replayed, at the position at which it was left.
  function goBackToGame() {
    const { state, game } = latest.current;
    const before = gameBefore.current;
    if (modeNow.current === "training" || game.key !== before.key) goOn(before);
    else {
      if (!isSameLine(state.line, before.moves)) sendBegin(before.key, before.moves, before.at);
      else if (state.at !== before.at) send.current({ type: "jump", to: before.at });
      send.current({ type: "set", seats: before.seats });
    }
    send.current({ type: "set", analyzes: localStorage.getItem("analyzes") !== "no", paused: before.moves.length > 0 });
  }

  // The position of the review becomes that of the game, with the person to move.
  function playOn() {
    const { state, game } = latest.current;
    location.hash = encodeURIComponent(game.key);
    send.current({ type: "set", seats: state.mover === 0 ? ["person", "agent"] : ["agent", "person"] });
    leaveFor("play");
  }

  async function openFile(file) {
    if (file.size > MAX_TEXT) dispatch({ type: "error", text: tooLong(file.name) });
    else openText(await file.text(), file.name);
  }

  function openText(text, name = "This text") {
    if (JSON.stringify(text).length > MAX_TEXT) dispatch({ type: "error", text: tooLong(name) });
    else {
      // What was wrong with the text before is no word about this one.
      dispatch({ type: "error is read" });
      send.current({ type: "open", text });
    }
  }

  function openedGame() {
    setRiddle(null);
    if (modeNow.current === "training") send.current({ type: "jump", to: 0 });
    else if (modeNow.current === "play") enter("review");
  }

  // Of the list of games.
  function choose(key) {
    location.hash = encodeURIComponent(key);
    if (modeNow.current !== "play") {
      if (latest.current.games.find((one) => one.key === key).is_for_teams) enter("play");
      else gameBefore.current = { ...gameBefore.current, key, moves: [], at: 0, isOver: false, agent: null };
    }
    begin(key);
  }

  function begin(key) {
    setRiddle(null);
    sendBegin(key, [], 0);
  }

  useEffect(() => {
    if (model.state !== null) keepGame(mode === "play" ? gameOf(model.game, model.state) : gameBefore.current);
  }, [model.state, mode]);

  useEffect(() => {
    const onTheme = () => setTheme(currentTheme());
    addEventListener("theme", onTheme);
    return () => removeEventListener("theme", onTheme);
  }, []);

  useEffect(() => {
    if (model.error === null) return undefined;
    const timer = setTimeout(() => dispatch({ type: "error is read" }), 1000 * ERROR_SECONDS);
    return () => clearTimeout(timer);
  }, [model.error]);

  const { game, state, games, thoughts } = model;
  const isWatching = state !== null && !state.seats.includes("person");
  const isWaiting = state !== null && state.paused && !state.is_over && state.seats[state.mover] === "agent";
  const ask = (message) => {
    dispatch({ type: "asked" });
    send.current(message);
  };
  const actions = state === null ? {} : {
    play: (action) => ask({ type: "play", action, position: state.position }),
    jump: (to) => to >= 0 && to <= state.line.length && to !== state.at && send.current({ type: "jump", to }),
    undo: () => send.current({ type: "undo" }),
    begin: () => begin(game.key),
    swap: () => !state.is_over && send.current({ type: "set", seats: isWatching ? state.seats : [state.seats[1], state.seats[0]] }),
    hint: () => !state.is_over && ask({ type: "hint" }),
    resign: () => send.current({ type: "resign" }),
    watch: () => send.current({
      type: "set",
      seats: !isWatching ? ["agent", "agent"] : state.mover === 0 ? ["person", "agent"] : ["agent", "person"],
    }),
    pause: () => send.current({ type: "set", paused: !state.paused }),
    set: (fields) => send.current({ type: "set", ...fields }),
    analyze: (isOn) => {
      localStorage.setItem("analyzes", isOn ? "yes" : "no");
      send.current({ type: "set", analyzes: isOn });
    },
  };
  useEffect(() => setHoveredMove(null), [state?.position]);
  // A riddle is answered on the board: keys neither tell its answer nor change the game.
  useKeys(riddle === null ? actions : { jump: actions.jump, analyze: actions.analyze }, mode === "training" ? null : state);
  const isTraining = mode === "training";
  const isInTraining = isTraining || (model.teamState !== null && teamMode === "training");
  useOffered(model.teamState !== null ? model.teamGame.key : game?.key ?? null, isInTraining, (offered) => dispatch({ ...offered, type: "offered" }));
  // Of an agent without training, the first run there is.
  const shownRun = chosenRun ?? (state === null || state.agent !== "rollouts" ? state?.agent : model.runs[0]?.key);
  // Games are replayed of a run whose agent is at the board.
  const hasRun = state !== null && state.agent !== "rollouts" && shownRun === state.agent;
  const [training, fault] = useTraining(shownRun, isTraining && shownRun !== undefined);
  useReplay({
    isShown: isTraining, state, stored: model.stored, hasRun, onJump: actions.jump,
    onAskStored: () => send.current({ type: "stored" }),
    onOpenStored: (key) => send.current({ type: "open_stored", key }),
  });

  function chooseRun(key) {
    setChosenRun(key);
    const run = model.runs.find((one) => one.key === key);
    if (run.game === null || !run.has_checkpoint) return;
    if (run.game !== game.key) begin(run.game);
    actions.set({ agent: key });
  }

  function onRiddle(step) {
    if (step === "end") return setRiddle(null);
    if (step === "show") return setRiddle({ ...riddle, isSolved: true, text: `${riddle.move.best_name} was better: the chance to win is then ${percent(riddle.move.best_win_rate)}.` });
    const worst = worstMoves(model.review);
    const index = step === "begin" ? Math.floor(Math.random() * worst.length) : (riddle.index + 1) % worst.length;
    const move = worst[index];
    const name = playerNames(game.geometry)[move.player];
    setRiddle({ index, move, isSolved: false, text: `${name} to move. ${move.name} lost ${percent(move.loss)}: find the better move on the board.` });
    actions.jump(move.ply);
    return undefined;
  }

  function answer(action) {
    const { move } = riddle;
    if (action === move.best_action) setRiddle({ ...riddle, isSolved: true, text: `Yes: the chance to win is ${percent(move.best_win_rate)} after ${move.best_name}, only ${percent(move.win_rate)} after ${move.name}.` });
    else if (action === move.action) setRiddle({ ...riddle, text: `${move.name} is what was played. Try another one.` });
    else {
      setRiddle({ ...riddle, text: `${game.names[action]}: the agent looks at it …` });
      send.current({ type: "guess", ply: move.ply, action });
    }
  }

  // What the agent makes of a move that it did not prefer.
  useEffect(() => {
    const { guessed } = model;
    if (guessed === null || riddle === null || riddle.isSolved || riddle.move.ply !== guessed.ply) return;
    const { move } = riddle;
    const name = game.names[guessed.action];
    if (guessed.verdict === "better") setRiddle({ ...riddle, isSolved: true, text: `Yes: ${name} is even better, the chance to win is ${percent(guessed.win_rate)}; the agent had found ${move.best_name} with ${percent(move.best_win_rate)}.` });
    else if (guessed.verdict === "as good") setRiddle({ ...riddle, isSolved: true, text: `Yes: ${name} is as good, the chance to win is ${percent(guessed.win_rate)}; the agent prefers ${move.best_name}.` });
    else setRiddle({ ...riddle, text: `The chance to win is ${percent(guessed.win_rate)} after ${name}, ${percent(move.best_win_rate)} after the best move. Try another one.` });
  }, [model.guessed]);

  if (model.link === "refused") return html`<main class="alone"><p>${model.refusal}</p></main>`;
  const top = (key, modes) => html`
    <header class="top">
      <h1>ddpzero</h1>
      <select aria-label="Game" value=${key} onChange=${(e) => choose(e.target.value)}>
        ${withCurrent(games, model.game ?? model.teamGame, key).map((one) => html`<option key=${one.key} value=${one.key} title=${one.description}>${one.title}</option>`)}
      </select>
      ${modes}
      <span class="spring"></span>
      <${ThemeSwitch} theme=${theme} onSwitch=${setTheme} />
    </header>`;
  const notice = html`
    <div class=${`notice ${model.error || model.link === "lost" ? "is-shown" : ""}`} role="alert">
      ${model.link === "lost" ? "The connection is lost; trying again …" : model.error}
    </div>`;
  if (model.teamState !== null) {
    const modes = html`<${Segments} label="Mode" value=${teamMode} onChange=${setTeamMode} options=${[["watch", "Watch"], ["training", "Training"]]} />`;
    return html`
      <div class="page">
        ${top(model.teamGame.key, modes)}
        <${TeamGame} game=${model.teamGame} state=${model.teamState} preparing=${model.preparing} isTraining=${teamMode === "training"}
          runs=${model.runs} theme=${theme} send=${send.current} />
        ${notice}
      </div>`;
  }
  if (state === null || game === null) {
    return html`<main class="alone"><p>${model.preparing || (model.link === "lost" ? "The server does not answer; trying again …" : "…")}</p></main>`;
  }

  const preparing = model.preparing && `${model.preparing}${model.isAsked ? " Then what you asked for follows." : ""}`;
  const agent = game.agents.find((one) => one.key === state.agent);
  const agentName = nameOf(agent, state.checkpoint);
  const isTurn = !state.is_over && state.seats[state.mover] === "person";
  const isReviewing = mode === "review";
  const isRiddle = isReviewing && riddle !== null && state.at === riddle.move.ply;
  const isOn = state.analyzes && !isRiddle;
  // Nothing is played into a replay, nor into the game that a riddle is about, also not by a second click on its answer.
  const onPlay = isTraining || (riddle !== null && (!isRiddle || riddle.isSolved)) ? () => {} : isRiddle ? answer : actions.play;
  const hovered = thoughts?.moveInfos.find((info) => info.action === hoveredMove);
  const shown = isOn ? thoughts : null;
  const box = viewBox(game.geometry);
  const buttons = game.geometry.actions.map((shape, action) => (shape === null ? action : -1)).filter((action) => action >= 0);

  return html`
    <div class="page">
      ${top(game.key, html`<${Segments} label="Mode" value=${mode} onChange=${(next) => next !== mode && enter(next)} options=${[["play", "Play"], ["review", "Review"], ["training", "Training"]]} />`)}
      <main class="table">
        <div class="left" style=${`--board-aspect: ${box[2] / box[3]}`}>
          <${Players} game=${game} state=${{ ...state, seats: seatsOf(state) }} agentName=${agentName} nameShown=${(name) => (state.self_play === null ? name : nameOf(agent, name))} outlook=${isOn || state.is_over ? model.outlook : null} />
          <${Board} game=${game} state=${state} thoughts=${shown} heat=${heat}
            line=${isRiddle ? (riddle.isSolved ? riddle.move.best_steps : null) : reviewedLine ?? (hovered ? hovered.steps : null)}
            hint=${model.hint?.action ?? null} onPlay=${onPlay} />
          ${isReviewing && riddle !== null && html`<${Riddle} riddle=${riddle} onRiddle=${onRiddle} />`}
          ${(riddle === null || buttons.length > 0) && html`
          <div class=${isTraining ? "status-row is-replay" : "status-row"}>
            ${riddle === null && html`<p class=${model.preparing ? "status is-waiting" : "status"} role="status">${preparing || (isTraining ? replayText(game, state, hasRun, agent) : statusOf(model, agentName))}</p>`}
            ${!isTraining && buttons.map((action) => html`
              <button key=${action} disabled=${!isTurn || !state.legal.includes(action)} onClick=${() => onPlay(action)}>
                ${capital(game.names[action])}${shareText(shown, state, action)}
              </button>`)}
          </div>`}
          ${ownersOf(state, shown) && html`<p class="small legend">Small squares: ${state.owners ? "the owner." : "the owner at the end, as the agent expects."}</p>`}
          ${isTraining ? null : isReviewing ? html`<div class="walk-row"><${Walk} state=${state} onJump=${actions.jump} />${riddle === null && html`<button disabled=${state.is_over} onClick=${playOn}><${Icon} name="play" />Play on from here</button>`}</div>` : html`
          <div class="controls">
            <button onClick=${actions.undo} disabled=${state.at === 0} title="u"><${Icon} name="undo" />Undo</button>
            <button onClick=${actions.hint} disabled=${!isTurn} title="h"><${Icon} name="bulb" />Hint</button>
            <button onClick=${actions.swap} disabled=${isWatching || state.is_over} title="s"><${Icon} name="swap" />Swap sides</button>
            ${isWaiting
              ? html`<button class="primary" onClick=${actions.pause} title="space"><${Icon} name="play" />Go on</button>`
              : html`<button onClick=${actions.watch} title="the agent plays both sides" aria-pressed=${isWatching} disabled=${state.is_over && !isWatching}><${Icon} name=${isWatching ? "pause" : "play"} />${isWatching ? "Take over" : "Watch"}</button>`}
            ${state.is_over
              ? html`<button onClick=${reviewGame} title="what each move was worth"><${Icon} name="bulb" />Review it</button>`
              : html`<button onClick=${actions.resign} disabled=${!isTurn || state.at === 0}><${Icon} name="flag" />Resign</button>`}
            <button onClick=${actions.begin} class=${state.is_over ? "primary" : ""} title="n"><${Icon} name="plus" />New game</button>
          </div>`}
        </div>
        ${isTraining ? html`
        <div class="right">
          <${RunChooser} runs=${model.runs} chosen=${shownRun} onChoose=${chooseRun} />
          <${TrainingPanel} training=${training} fault=${shownRun === undefined ? "There is no run yet: one that is started appears here." : fault} theme=${theme}
            title=${model.runs.find((run) => run.key === shownRun)?.title ?? agent?.title} />
        </div>` : html`
        <div class="right">
          ${isReviewing && html`<${ReviewPanel} game=${game} state=${state} review=${model.review} riddle=${riddle} theme=${theme}
            onAsk=${(simulations) => { setRiddle(null); send.current({ type: "review", simulations }); }}
            onJump=${actions.jump} onHover=${setReviewedLine} onRiddle=${onRiddle} />`}
          ${!isRiddle && html`<${Analysis} game=${game} thoughts=${thoughts} exact=${model.exact} mover=${state.mover} isOver=${state.is_over} isOn=${isOn} heat=${heat} isTurn=${isTurn}
            onSwitch=${actions.analyze} onHeat=${setHeat} onHover=${setHoveredMove} onPlay=${onPlay} onReview=${isReviewing ? null : reviewGame} />`}
          <${Moves} game=${game} state=${state} onJump=${actions.jump} />
          ${isReviewing && html`<${GamesPanel} game=${game} state=${state} stored=${model.stored} hasRun=${state.agent !== "rollouts"}
            onOpen=${openText} onOpenFile=${openFile} onSave=${() => send.current({ type: "save" })}
            onAskStored=${() => send.current({ type: "stored" })} onOpenStored=${(key) => send.current({ type: "open_stored", key })} />`}
          <${Opponent} agents=${game.agents} state=${state} onSet=${actions.set} />
          <p class="keys small">Tab to the board: arrows choose a move, Enter plays it · elsewhere ← → ↑ ↓ walk through the game · u undo · h hint · n new game · s swap · a analysis · space pause</p>
        </div>`}
      </main>
      ${notice}
    </div>`;
}

const currentTheme = () => document.documentElement.dataset.theme;

function ThemeSwitch({ theme, onSwitch }) {
  const other = theme === "dark" ? "light" : "dark";
  return html`
    <button class="plain" title=${`${other} colors`} aria-label=${`${other} colors`} onClick=${() => {
      document.documentElement.dataset.theme = other;
      localStorage.setItem("theme", other);
      onSwitch(other);
    }}><${Icon} name=${theme === "dark" ? "sun" : "moon"} /></button>`;
}

function useKeys(actions, state) {
  const current = useRef({});
  current.current = { actions, state };
  useEffect(() => {
    function onKey(event) {
      const { actions, state } = current.current;
      if (state === null || event.ctrlKey || event.metaKey || event.altKey) return;
      if (isTheirs(event)) return;
      const does = {
        ArrowLeft: () => actions.jump(state.at - 1),
        ArrowRight: () => actions.jump(state.at + 1),
        ArrowUp: () => actions.jump(0),
        ArrowDown: () => actions.jump(state.line.length),
        u: actions.undo,
        h: actions.hint,
        n: actions.begin,
        s: actions.swap,
        a: () => actions.analyze(!state.analyzes),
        " ": event.target.matches("button") ? null : actions.pause,
      }[event.key];
      if (!does) return;
      event.preventDefault();
      does();
    }
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, []);
}

// Whether a key belongs to the control that has the focus: a slider and a box need arrows and space, a text all keys.
function isTheirs({ target, key }) {
  if (target.matches("input[type=range], input[type=checkbox]")) return key.length > 1 || key === " ";
  return target.matches("input, select, textarea");
}

function nameOf(agent, checkpointKey) {
  if (!agent) return "the agent";
  const checkpoint = agent.checkpoints.find((one) => one.key === checkpointKey);
  if (!checkpoint) return agent.title;
  const trained = checkpoint.minutes === null ? `${count(checkpoint.episodes)} games` : duration(checkpoint.minutes);
  return `${agent.title}, trained ${trained}`;
}

// The game on the screen may have come with a file, so that the list does not have it yet.
function withCurrent(games, current, key) {
  return current === null || games.some((one) => one.key === key) ? games : [...games, current];
}

function replayText(game, state, hasRun, agent) {
  if (!hasRun) return "No game of this run can be replayed yet.";
  if (state.line.length === 0) return `${agent.title} has no game to replay yet.`;
  return `A game that ${agent.title} played against itself: move ${state.at} of ${state.line.length}. ${selfPlayText(game, state)}`;
}

// Why a game that an agent played against itself begins or ends as it does.
function selfPlayText(game, { self_play: story, at, line }) {
  if (story === null) return "";
  const { opening, winner, is_proven: isProven } = story;
  if (isProven && at === line.length) {
    const won = winner === null ? "A draw" : `A win for ${playerNames(game.geometry)[winner]}`;
    return `${won} was proven here: that ended the game.`;
  }
  if (at === 0 || at > opening) return "";
  return `${opening === 1 ? "The first move was" : `The first ${opening} moves were`} given, so that games differ.`;
}

const capital = (text) => text[0].toUpperCase() + text.slice(1);

function shareText(thoughts, state, action) {
  const index = state.legal.indexOf(action);
  if (thoughts === null || index < 0) return "";
  return html` <span class="small">${percent(thoughts.policy[index])}</span>`;
}

// Who sits where; at the end of a game: who sat there when it ended.
function seatsOf({ seats, last_seats: lastSeats, is_over: isOver }) {
  return isOver && seats.includes("agent") ? lastSeats : seats;
}

function statusOf({ game, state, hint }, agentName) {
  const names = playerNames(game.geometry);
  if (state.is_over) {
    const { winner, text } = state.result;
    const how = text ? ` (${text})` : "";
    const after = ` after ${state.at} move${state.at === 1 ? "" : "s"}`;
    if (winner === null) return `A draw${after}${how}.`;
    const seats = seatsOf(state);
    const persons = seats.filter((seat) => seat === "person").length;
    if (persons === 1) return `${seats[winner] === "person" ? "You win" : "You lose"}${after}${how}.`;
    return `${names[winner]} wins${after}${how}.`;
  }
  const hinted = hint === null ? "" : ` Hint: ${hint.move}.`;
  if (!state.seats.includes("agent")) return `${names[state.mover]} to move.${hinted} ${selfPlayText(game, state)}`.trim();
  const isForced = state.legal.length === 1 && game.geometry.actions[state.legal[0]] === null;
  if (isForced && state.seats[state.mover] === "person") return `No move for ${names[state.mover]}: you must ${game.names[state.legal[0]]}.`;
  if (state.seats[state.mover] === "person") return `Your move: ${names[state.mover]}.${hinted}`;
  return state.paused ? `Paused: ${agentName} is to move.` : `${agentName} is thinking …`;
}

render(html`<${App} />`, document.getElementById("app"));
