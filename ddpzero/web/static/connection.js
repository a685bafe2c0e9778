// The WebSocket to the server: opens it, opens it again when it breaks, and passes messages on.

const FIRST_DELAY = 500;
const LONGEST_DELAY = 8000;

export function connect({ onMessage, onOpen, onLost }) {
  let socket = null;
  let delay = FIRST_DELAY;
  let isRefused = false;

  function open() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    socket = new WebSocket(`${scheme}://${location.host}/session${location.search}`);
    socket.onopen = () => {
      delay = FIRST_DELAY;
      onOpen();
    };
    socket.onmessage = (event) => {
      const message = JSON.parse(event.data);
      isRefused = message.type === "refused";
      onMessage(message);
    };
    socket.onclose = () => {
      onLost(isRefused);
      setTimeout(open, isRefused ? LONGEST_DELAY : delay);
      delay = Math.min(2 * delay, LONGEST_DELAY);
    };
  }

  open();
  return (message) => {
    if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
  };
}
