// Reads a file of the page: from inside the page if it is there, otherwise from the server.

const elementOf = (name) => document.getElementById(`file:${name}`);

export const isInside = (name) => elementOf(name) !== null;

export async function readFile(name) {
  const inside = elementOf(name);
  if (inside !== null) {
    const response = await fetch(`data:application/octet-stream;base64,${inside.textContent.trim()}`);
    return new Uint8Array(await response.arrayBuffer());
  }
  const response = await fetch(name);
  if (!response.ok) throw new Error(`${name}: the server answers ${response.status} ${response.statusText}.`);
  return new Uint8Array(await response.arrayBuffer());
}
