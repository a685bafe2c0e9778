// Numbers and names as people read them.

export const percent = (share) => `${Math.round(100 * share)}%`;

export const finePercent = (share) =>
  share >= 0.9995 ? "100%" : share < 0.0005 ? "0%" : `${(100 * share).toFixed(1)}%`;

export function count(number) {
  if (number < 10000) return String(number);
  if (number < 999500) return `${Math.round(number / 1000)}k`;
  return `${(number / 1e6).toFixed(1)}M`;
}

export function duration(minutes) {
  if (minutes < 1) return `${Math.round(60 * minutes)} s`;
  if (minutes < 90) return `${minutes < 10 ? short(minutes) : Math.round(minutes)} min`;
  return minutes < 2880 ? `${short(minutes / 60)} h` : `${short(minutes / 1440)} days`;
}

const short = (number) => number.toFixed(1).replace(".0", "");

export const signed = (number) => `${number > 0 ? "+" : number < 0 ? "−" : "±"}${Math.abs(number).toFixed(1)}`;

export function provenText(winrate) {
  if (winrate > 0.75) return "win";
  return winrate < 0.25 ? "loss" : "draw";
}

// What perfect play makes of a move: [action, outcome, margin].
export function exactText([, outcome, margin]) {
  const text = ["loss", "draw", "win"][outcome + 1];
  return margin === null || margin === 0 ? text : `${text} ${Math.abs(margin)}`;
}

// "a win for Red by 3". exact: of the position, in which mover is to move.
export function verdictText({ outcome, margin }, names, mover) {
  if (outcome === 0) return "a draw";
  const by = margin === null ? "" : ` by ${Math.abs(margin)}`;
  return `a win for ${names[outcome > 0 ? mover : 1 - mover]}${by}`;
}

// What the players of this kind of pieces are called.
export function playerNames(geometry) {
  if (geometry.pieces === "stones") return ["Black", "White"];
  if (geometry.pieces === "marks") return ["X", "O"];
  return geometry.surface === "blue" ? ["Red", "Yellow"] : ["Red", "Blue"];
}
