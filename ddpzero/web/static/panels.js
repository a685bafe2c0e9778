// What stands around the board: who plays, what the agent thinks, the moves, and how strong the agent is.
import { html, useEffect, useRef, useState } from "./vendor/htm-preact-standalone.mjs";
import { Piece } from "./board.js";
import { count, duration, exactText, finePercent, percent, playerNames, provenText, signed, verdictText } from "./text.js";

export const ROLLOUTS = "rollouts";
const SIMULATIONS = [0, 1, 5, 10, 25, 50, 100, 200, 400, 800, 1600, 3200, 6400];
const SECONDS = [0.2, 0.5, 1, 2, 5, 10, 20, 60];
const LEVELS = [1, 2, 3, 4, 5, 6, 7, 8, 9];
const NUM_ROWS = 5;
const EXPECTED = "how often the player to move wins with this move, where a draw counts as half a win";
const VISITS = "how often the search looked at the move";
const PRIOR = "how likely the network finds the move, before any search";
const LINE = "the moves that the search expects, beginning with this one";
const SIMULATION = "each simulation of the search looks at one more continuation";
const PROVEN = "the search has seen all that matters up to the end of the game";
const EXACT_SOURCE = "from a table of perfect play, not from the agent's search";

export function Icon({ name }) {
  const paths = {
    first: "M6 5v14M19 6l-9 6 9 6z", last: "M18 5v14M5 6l9 6-9 6z",
    back: "M15 5l-8 7 8 7", forward: "M9 5l8 7-8 7",
    undo: "M9 7H15a5 5 0 0 1 0 10H8M9 7l4-4M9 7l4 4", plus: "M12 5v14M5 12h14",
    swap: "M7 4v14M7 18l-3-3M7 18l3-3M17 20V6M17 6l-3 3M17 6l3 3",
    bulb: "M9 18h6M10 21h4M12 3a6 6 0 0 0-3.5 10.9c.6.5 1 1.200 1 2h5c0-.8.4-1.500 1-2A6 6 0 0 0 12 3z",
    play: "M7 5l12 7-12 7z", pause: "M8 5v14M16 5v14", flag: "M6 21V4M6 4h11l-2.500 4 2.500 4H6",
    sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8M12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.400 1.400M17.600 17.600l1.400 1.400M5 19l1.400-1.400M17.600 6.400l1.400-1.400",
    moon: "M20 14.500A8 8 0 0 1 9.500 4a8 8 0 1 0 10.500 10.500z",
  };
  return html`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true"><path d=${paths[name]} /></svg>`;
}

export function Segments({ label, options, value, onChange }) {
  return html`
    <div class="segments" role="radiogroup" aria-label=${label}>
      ${options.map(([key, text, title]) => html`
        <button key=${key} role="radio" title=${title} aria-checked=${key === value} onClick=${() => onChange(key)}>${text}</button>`)}
    </div>`;
}

function PieceIcon({ geometry, player }) {
  const shape = { kind: "circle", numbers: [0.5, 0.5, 0.42] };
  return html`
    <svg class=${`piece-icon surface-${geometry.surface} pieces-${geometry.pieces}`} viewBox="0 0 1 1" aria-hidden="true">
      <${Piece} pieces=${geometry.pieces} shape=${shape} player=${player} />
    </svg>`;
}

// The two players with the probabilities that they win, and a bar of them. outlook: first, draw, second; null: unknown.
// nameShown: what is shown of a name that came with the game.
export function Players({ game, state, agentName, nameShown = (name) => name, outlook }) {
  const names = playerNames(game.geometry);
  const isForTwo = !state.seats.includes("agent");
  const seatName = (player) => (isForTwo ? nameShown(state.names[player]) || names[player] : state.seats[player] === "person" ? "You" : agentName);
  const player = (which) => html`
    <div class=${`player ${!state.is_over && state.mover === which ? "to-move" : ""}`}>
      <${PieceIcon} geometry=${game.geometry} player=${which} />
      <span class="player-name">${seatName(which)}</span>
      <span class="player-share">${outlook ? percent(outlook[which === 0 ? 0 : 2]) : ""}</span>
    </div>`;
  const shares = outlook || [0, 1, 0];
  return html`
    <div class=${`players surface-${game.geometry.surface} pieces-${game.geometry.pieces}`}>
      ${player(0)}
      ${player(1)}
      <div
        class=${`value-bar ${outlook ? "" : "is-unknown"}`}
        role="img"
        aria-label=${outlook
          ? `${names[0]} wins ${finePercent(shares[0])}, draw ${finePercent(shares[1])}, ${names[1]} wins ${finePercent(shares[2])}`
          : "nothing is known of this position yet"}
      >
        <span class="bar player-0" style=${{ width: `${100 * shares[0]}%` }}></span>
        <span class="bar draw" style=${{ width: `${100 * shares[1]}%` }}></span>
        <span class="bar player-1" style=${{ width: `${100 * shares[2]}%` }}></span>
      </div>
    </div>`;
}

// onReview: leads to a review of a game that is over; null where there is none.
// exact: the message of what a table knows of the position, or null. mover: the player to move.
export function Analysis({ game, thoughts, exact, mover, isOver, isOn, heat, onSwitch, onHeat, onHover, onPlay, onReview, isTurn }) {
  const rows = thoughts && isOn ? thoughts.moveInfos.slice(0, NUM_ROWS) : [];
  // An agent of rollouts values only the position.
  const isValued = rows.length === 0 || rows.some((info) => info.winrate !== null);
  const hasScore = game.has_score && rows.some((info) => info.scoreLead !== null);
  const root = thoughts && isOn ? thoughts.rootInfo : null;
  const known = isOn ? exact : null;
  // The row goes with the position: the focus goes to the board.
  const playAndLeave = (action) => {
    onPlay(action);
    document.querySelector(".board")?.focus();
  };
  const numColumns = 3 + (isValued ? 1 : 0) + (hasScore ? 1 : 0) + (known ? 1 : 0);
  const header = html`
    <header>
      <h2>Analysis</h2>
      <label class="switch"><input type="checkbox" checked=${isOn} onChange=${(e) => onSwitch(e.target.checked)} /><span>show</span></label>
    </header>`;
  if (!isOn) return html`<section class="card analysis">${header}</section>`;
  const name = playerNames(game.geometry)[mover];
  return html`
    <section class=${isOver ? "card analysis is-over" : "card analysis"}>
      ${header}
      ${isOver && html`
        <div class="over">
          <p class="small">The game is over: there is no move to think about.</p>
          ${onReview && html`<button onClick=${onReview}>See what each move was worth</button>`}
        </div>`}
      <dl class="outlook">
        <div><dt>win</dt><dd>${root ? percent(thoughts.wdl[0]) : "–"}</dd></div>
        <div><dt>draw</dt><dd>${root ? percent(thoughts.wdl[1]) : "–"}</dd></div>
        <div><dt>loss</dt><dd>${root ? percent(thoughts.wdl[2]) : "–"}</dd></div>
        ${game.has_score && html`<div><dt>score</dt><dd>${root && root.scoreLead !== null ? signed(root.scoreLead) : "–"}</dd></div>`}
        <div class="wide" title=${SIMULATION}><dt>simulations</dt><dd>${root ? count(root.visits) : "–"}${thoughts?.is_proven && root ? html` <span class="proven" title=${PROVEN}>proven</span>` : ""}</dd></div>
      </dl>
      <table class="moves-found" onMouseLeave=${() => onHover(null)}>
        <thead><tr><th>move</th><th title=${VISITS}>visits</th>${isValued && html`<th title=${EXPECTED}>expects</th>`}${hasScore && html`<th>score</th>`}${known && html`<th class="exact-head" title=${EXACT_SOURCE}>exact</th>`}<th class="pv-head" title=${LINE}>line</th></tr></thead>
        <tbody>
          ${Array.from({ length: NUM_ROWS }, (_, index) => {
            const info = rows[index];
            if (!info) return html`<tr key=${index} class="empty"><td colspan=${numColumns}> </td></tr>`;
            return html`
              <tr key=${index} onMouseEnter=${() => onHover(info.action)} onFocus=${() => onHover(info.action)} onBlur=${() => onHover(null)}
                tabindex="0" onKeyDown=${(e) => e.key === "Enter" && isTurn && playAndLeave(info.action)}
                onClick=${() => (isTurn && matchMedia("(hover: hover)").matches ? onPlay(info.action) : onHover(info.action))}>
                <td class="move-name">${info.move}</td>
                <td>${count(info.visits)}</td>
                ${isValued && html`<td class=${info.is_proven ? "proven" : ""} title=${EXPECTED}>${expectedText(info)}</td>`}
                ${hasScore && html`<td>${isUnknown(info) || info.scoreLead === null ? "–" : signed(info.scoreLead)}</td>`}
                ${known && html`<td class="exact" title=${EXACT_SOURCE}>${exactText(known.moves.find(([action]) => action === info.action))}</td>`}
                <td class="pv">${info.pv.join(" ")}</td>
              </tr>`;
          })}
        </tbody>
      </table>
      <p class="small caption">Win, draw and loss are of ${name}, who is to move. Visits: how often the search looked at a move${isValued ? `; expects: the chance that ${name} wins with it, a draw counting half` : ""}.</p>
      ${known && html`<${Verdict} game=${game} exact=${known} mover=${mover} />`}
      <div class="row">
        <span class="small">on the board</span>
        <${Segments} label="Heat map" value=${heat} onChange=${onHeat}
          options=${[["policy", "search", VISITS], ["prior", "network", PRIOR], ["off", "nothing"]]} />
      </div>
    </section>`;
}

// Whether the search has not looked at the move: its value would be that of the position.
const isUnknown = (info) => info.visits === 0 && !info.is_proven;

function expectedText(info) {
  if (isUnknown(info) || info.winrate === null) return "–";
  return info.is_proven ? provenText(info.winrate) : percent(info.winrate);
}

// What perfect play makes of the position, and of each legal move.
function Verdict({ game, exact, mover }) {
  const groups = [[1, "win"], [0, "draw"], [-1, "lose"]]
    .map(([outcome, verb]) => [verb, exact.moves.filter((move) => move[1] === outcome)])
    .filter(([, moves]) => moves.length > 0);
  return html`
    <div class="verdict" title=${EXACT_SOURCE}>
      <p>Perfect play: <b class="exact">${verdictText(exact, playerNames(game.geometry), mover)}</b></p>
      ${groups.map(([verb, moves]) => html`
        <p key=${verb} class="small">moves that ${verb}: ${moves.map(([action]) => game.names[action]).join(" ")}</p>`)}
    </div>`;
}

export function Walk({ state, onJump }) {
  const button = (icon, title, to, isDisabled) => html`
    <button class="plain" title=${title} aria-label=${title} onClick=${() => onJump(to)} disabled=${isDisabled}><${Icon} name=${icon} /></button>`;
  const isAtEnd = state.at === state.line.length;
  return html`
    <div class="walk">
      ${button("first", "to the start (↑)", 0, state.at === 0)}
      ${button("back", "one back (←)", state.at - 1, state.at === 0)}
      ${button("forward", "one forward (→)", state.at + 1, isAtEnd)}
      ${button("last", "to the end (↓)", state.line.length, isAtEnd)}
    </div>`;
}

export function Moves({ game, state, onJump }) {
  const list = useRef(null);
  useEffect(() => {
    const current = list.current?.querySelector("[aria-current]");
    if (!current) return;
    // The list is what the browser measures from.
    const top = current.offsetTop;
    if (top < list.current.scrollTop || top + current.offsetHeight > list.current.scrollTop + list.current.clientHeight) {
      list.current.scrollTop = top - list.current.clientHeight / 2;
    }
  }, [state.at, state.line]);
  return html`
    <section class="card moves">
      <header>
        <h2>Moves</h2>
        <${Walk} state=${state} onJump=${onJump} />
      </header>
      <ol class="move-list" ref=${list}>
        ${state.line.map((action, index) => html`
          <li key=${index}>
            <button
              class=${`plain move by-${state.movers[index]} ${index >= state.at ? "undone" : ""}`}
              aria-current=${index === state.at - 1 ? "true" : undefined}
              onClick=${() => onJump(index + 1)}
            ><span class="number">${index + 1}</span>${game.names[action]}</button>
          </li>`)}
      </ol>
    </section>`;
}

// agents: of the game. onSet: takes the fields of a message `set`.
export function Opponent({ agents, state, onSet }) {
  const agent = agents.find((one) => one.key === state.agent) || agents[0];
  return html`
    <section class="card opponent">
      <header><h2>Agent</h2></header>
      <select aria-label="Agent" value=${agent.key} onChange=${(e) => onSet({ agent: e.target.value })}>
        ${agents.map((one) => html`<option key=${one.key} value=${one.key}>${one.title}</option>`)}
      </select>
      <${Checkpoints} checkpoints=${agent.checkpoints} chosen=${state.checkpoint} onChoose=${(checkpoint) => onSet({ checkpoint })} />
      <${Strength} state=${state} agent=${agent} onSet=${onSet} />
    </section>`;
}

// Which of an agent's checkpoints plays, from the first to the last of its training; nothing for an agent without any.
export function Checkpoints({ checkpoints, chosen, onChoose }) {
  if (checkpoints.length === 0) return null;
  const text = (key) => {
    const { minutes, episodes, is_best: isBest } = checkpoints.find((one) => one.key === key);
    return html`trained for <b>${minutes === null ? `${count(episodes)} games` : duration(minutes)}</b>${isBest ? html` <span class="tag">best</span>` : ""}`;
  };
  const keys = checkpoints.map((one) => one.key);
  const value = keys.includes(chosen) ? chosen : keys[0];
  const ends = [checkpoints[0], checkpoints[checkpoints.length - 1]].map(endText);
  return html`<${Slider} label="Checkpoint" choices=${keys} value=${value} text=${text} ends=${ends} onChoose=${onChoose} />`;
}

// A choice between a few values in their order; a number that is none of them is shown at the nearest one.
// text: says a value. ends: of the scale, or nothing.
export function Slider({ label, choices, value, text, ends, onChoose }) {
  const [sliding, setSliding] = useState(null);
  const at = Math.max(0, choices.includes(value) ? choices.indexOf(value) : nearest(choices, value));
  return html`
    <label class="slider">
      <span>${text(sliding === null ? value : choices[sliding])}</span>
      <input type="range" min="0" max=${choices.length - 1} step="1" value=${sliding ?? at} disabled=${choices.length < 2} aria-label=${label}
        onInput=${(e) => setSliding(Number(e.target.value))}
        onChange=${(e) => { onChoose(choices[Number(e.target.value)]); setSliding(null); }} />
      ${ends && html`<span class="ends small"><span>${ends[0]}</span><span>${ends[1]}</span></span>`}
    </label>`;
}

const endText = (checkpoint) => (checkpoint.minutes === null ? "" : duration(checkpoint.minutes));

// The units of strength: what the slider chooses from, what it begins with, and how a choice is named.
const UNITS = {
  simulations: { choices: SIMULATIONS, usual: 200, tip: SIMULATION, text: (n) => html`<b>${n === 0 ? "network alone" : `${n} simulations`}</b>${n === 0 ? "" : " a move"}` },
  seconds: { tip: "how long the agent thinks about a move", choices: SECONDS, usual: 1, text: (n) => html`<b>${n} s</b> a move` },
  level: { tip: "weaker levels search less and vary their moves", choices: LEVELS, usual: 5, text: (n) => html`<b>level ${n}</b>`, ends: ["1 weakest", "9 full strength"] },
};

function Strength({ state, agent, onSet }) {
  const isRollouts = agent.key === ROLLOUTS;
  const unit = state.level !== null ? "level" : state.seconds !== null ? "seconds" : "simulations";
  const { text, ends } = UNITS[unit];
  const choices = UNITS[unit].choices.filter((n) => !isRollouts || unit !== "simulations" || (n > 0 && n <= 2000));
  return html`
    <${Slider} key=${unit} label="Strength" choices=${choices} value=${state[unit]} text=${text} ends=${ends} onChoose=${(choice) => onSet({ [unit]: choice })} />
    ${!isRollouts && html`
      <${Segments} label="Unit of strength" value=${unit}
        options=${Object.entries(UNITS).map(([one, { tip }]) => [one, one, tip])}
        onChange=${(next) => onSet({ [next]: UNITS[next].usual })} />`}
    <label class="switch"><input type="checkbox" checked=${state.resigns} onChange=${(e) => onSet({ resigns: e.target.checked })} /><span>resigns hopeless games</span></label>`;
}

function nearest(choices, value) {
  let best = 0;
  choices.forEach((choice, index) => {
    if (Math.abs(choice - value) < Math.abs(choices[best] - value)) best = index;
  });
  return best;
}
