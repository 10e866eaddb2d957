// What the server sends: events over a request of our own, for the browser's EventSource cannot carry the token, and a
// cookie would go to every other port of this machine.

const PLACE = "coseg-token";
/** The server says something every 15 seconds. */
const SILENCE_MS = 40_000;

/** Whether there was one in the address. */
export function takeToken() {
  const found = location.hash.match(/^#token=([\w.~-]+)$/);
  if (!found) return false;
  sessionStorage.setItem(PLACE, found[1]);
  // Not to be left in the address, or in the history.
  history.replaceState(null, "", `${location.pathname}#/`);
  return true;
}

export const keepToken = (token) => sessionStorage.setItem(PLACE, token);

export function headers(more = {}) {
  const token = sessionStorage.getItem(PLACE);
  return token === null ? more : { Authorization: `Bearer ${token}`, ...more };
}

export class Refused extends Error {}

/** Calls `tell(name, document)` with each event, until `signal` aborts or the connection ends. */
export async function follow(path, signal, tell) {
  const own = new AbortController();
  const stop = () => own.abort();
  signal.addEventListener("abort", stop, { once: true });
  let silence = setTimeout(stop, SILENCE_MS);
  try {
    const response = await fetch(path, { headers: headers(), signal: own.signal, cache: "no-store" });
    if (response.status === 401) throw new Refused(await response.text());
    if (!response.ok) throw new Error((await response.text()).trim() || response.statusText);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      clearTimeout(silence);
      silence = setTimeout(stop, SILENCE_MS);
      const frames = (rest + value).split("\n\n");
      rest = frames.pop();
      for (const frame of frames) deliver(frame, tell);
    }
  } finally {
    clearTimeout(silence);
    signal.removeEventListener("abort", stop);
    own.abort();
  }
}

function deliver(frame, tell) {
  let name = "message";
  let data = "";
  for (const line of frame.split("\n")) {
    if (line.startsWith("event: ")) name = line.slice(7);
    else if (line.startsWith("data: ")) data += line.slice(6);
  }
  if (data !== "") tell(name, JSON.parse(data));
}
