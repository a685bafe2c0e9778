// A team game to watch: the picture of its board, the points of both teams, who plays them, and how fast.
import { html, useEffect, useRef, useState } from "./vendor/htm-preact-standalone.mjs";
import { Checkpoints, Icon, Slider } from "./panels.js";
import { RunChooser, TrainingPanel, useTraining } from "./training.js";

const PACES = [1, 2, 4, 8, 15, 30, 60];
const ORDINALS = ["First team", "Second team"];

// send: takes messages to the server. isTraining: whether the training of the first trained agent is shown.
export function TeamGame({ game, state, preparing, isTraining, runs, theme, send }) {
  const actions = {
    pause: () => !state.is_over && send({ type: "pace", paused: !state.paused }),
    step: () => !state.is_over && send({ type: "step" }),
    begin: () => send({ type: "begin", game: game.key, moves: [], at: 0 }),
  };
  useTeamKeys(actions);
  const players = state.seats.map((seat) => game.agents.find((one) => one.key === seat.agent));
  const [width, height] = state.size;
  return html`
    <main class="table">
      <div class="left" style=${`--board-aspect: ${width / height}`}>
        <${Points} game=${game} state=${state} players=${players} />
        <img class="team-picture" src=${state.picture} width=${width} height=${height} alt=${`${game.title}, step ${state.step}`} />
        <div class="status-row">
          <p class=${preparing ? "status is-waiting" : "status"} role="status">${preparing || statusOf(game, state)}</p>
        </div>
        <div class="controls">
          <button onClick=${actions.pause} disabled=${state.is_over} title="space"><${Icon} name=${state.paused ? "play" : "pause"} />${state.paused ? "Go on" : "Pause"}</button>
          <button onClick=${actions.step} disabled=${state.is_over} title="→"><${Icon} name="forward" />Step</button>
          <button onClick=${actions.begin} class=${state.is_over ? "primary" : ""} title="n"><${Icon} name="plus" />New game</button>
        </div>
      </div>
      <div class="right">
        ${isTraining ? html`<${TeamTraining} players=${players} runs=${runs} theme=${theme} />` : html`
          ${state.seats.map((seat, team) => html`<${Team} key=${team} game=${game} team=${team} seat=${seat} agent=${players[team]} send=${send} />`)}
          <section class="card opponent">
            <header><h2>Pace</h2></header>
            <${Slider} label="Pace" choices=${PACES} value=${state.steps_per_second}
              text=${(n) => html`<b>${n} step${n === 1 ? "" : "s"}</b> a second`} onChoose=${(n) => send({ type: "pace", steps_per_second: n })} />
          </section>
          <p class="keys small">→ step · n new game · space pause</p>`}
      </div>
    </main>`;
}

const colorOf = (game, team) =>
  (game.colors.length > 0 ? `rgb(${game.colors[team].join(", ")})` : `var(${team === 0 ? "--first" : "--second"})`);

// The two teams with their points, and a bar of them.
function Points({ game, state, players }) {
  const total = state.points[0] + state.points[1];
  const isKnown = state.points.every((points) => points >= 0) && total > 0;
  const shares = isKnown ? state.points.map((points) => points / total) : [0.5, 0.5];
  return html`
    <div class="players">
      ${players.map((player, team) => html`
        <div class="player to-move" key=${team}>
          <span class="team-dot" style=${{ background: colorOf(game, team) }}></span>
          <span class="player-name">${player.title}</span>
          <span class="team-points">${state.points[team]}</span>
        </div>`)}
      <div class="value-bar" role="img" aria-label=${`${state.points[0]} points to ${state.points[1]}`}>
        ${shares.map((share, team) => html`<span key=${team} class="bar" style=${{ width: `${100 * share}%`, background: colorOf(game, team), opacity: isKnown ? 1 : 0.35 }}></span>`)}
      </div>
    </div>`;
}

function Team({ game, team, seat, agent, send }) {
  const choose = (fields) => send({ type: "team", team, agent: seat.agent, ...fields });
  return html`
    <section class="card opponent">
      <header><h2><span class="team-dot" style=${{ background: colorOf(game, team) }}></span> ${ORDINALS[team]}</h2></header>
      <select aria-label=${ORDINALS[team]} value=${agent.key} onChange=${(e) => choose({ agent: e.target.value })}>
        ${game.agents.map((one) => html`<option key=${one.key} value=${one.key}>${one.title}</option>`)}
      </select>
      <${Checkpoints} checkpoints=${agent.checkpoints} chosen=${seat.checkpoint} onChoose=${(checkpoint) => choose({ checkpoint })} />
    </section>`;
}

function TeamTraining({ players, runs, theme }) {
  const [chosen, setChosen] = useState(null);
  const agent = players.find((player) => player.checkpoints.length > 0);
  const shown = chosen ?? agent?.key ?? runs[0]?.key;
  const [training, fault] = useTraining(shown, shown !== undefined);
  const text = shown === undefined ? "Rule agents are not trained." : fault;
  return html`
    <${RunChooser} runs=${runs} chosen=${shown} onChoose=${setChosen} />
    <${TrainingPanel} training=${training} fault=${text} theme=${theme} title=${runs.find((run) => run.key === shown)?.title ?? agent?.title} />`;
}

function statusOf(game, state) {
  if (!state.is_over) return `${state.paused ? "Paused at step" : "Step"} ${state.step} of at most ${game.max_steps}`;
  const [first, second] = state.points;
  const after = `${first} : ${second} after ${state.step} steps`;
  if (first === second) return `A draw, ${after}.`;
  return `${ORDINALS[first > second ? 0 : 1]} wins, ${after}.`;
}

function useTeamKeys(actions) {
  const current = useRef(actions);
  current.current = actions;
  useEffect(() => {
    function onKey(event) {
      if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select, textarea")) return;
      const isOnButton = event.target.matches("button");
      const { pause, step, begin } = current.current;
      const does = { " ": isOnButton ? null : pause, ArrowRight: step, n: begin }[event.key];
      if (!does) return;
      event.preventDefault();
      does();
    }
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, []);
}
