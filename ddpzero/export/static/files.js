// Files of the page: parts of it as one file, or beside it on the server.

const elementOf = (name) => document.getElementById(`file:${name}`);

export const isInside = (name) => elementOf(name) !== null;

export function urlOf(name) {
  return isInside(name) ? `data:application/octet-stream;base64,${elementOf(name).textContent}` : name;
}

export async function readFile(name) {
  const response = await fetch(urlOf(name));
  if (!response.ok) throw new Error(`${name}: the server answers ${response.status} ${response.statusText}.`);
  return new Uint8Array(await response.arrayBuffer());
}
