// Numbers and times for people.

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

export function bytes(number) {
  let value = number;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || value >= 100 || Number.isInteger(value) ? 0 : 1;
  return `${value.toFixed(digits)} ${UNITS[unit]}`;
}

export const count = (number) => Number(number).toLocaleString("en");

export function rate(number) {
  if (number === null || number === undefined) return "–";
  const digits = number !== 0 && number < 10 ? 1 : 0;
  return `${number.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits })}/s`;
}

/** `3 locks`, `1 lock`. */
export const many = (number, one, more = `${one}s`) => `${count(number)} ${number === 1 ? one : more}`;

export function span(ms) {
  const seconds = Math.max(0, ms) / 1000;
  if (seconds < 1) return `${Math.round(ms)} ms`;
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86400)} d`;
}

/** `12 s ago`; seconds since 1970, none for never. */
export const ago = (seconds, nowMs) =>
  seconds === null || seconds === undefined ? "never" : `${span(nowMs - seconds * 1000)} ago`;

export const clock = (ms) => new Date(ms).toLocaleTimeString("en-GB");

/** Somebody who has joined a region: `trader (1234)`. */
export function who(one) {
  const pid = !one || one.pid === null ? "" : ` (${one.pid})`;
  return `${one?.name ?? "somebody"}${pid}`;
}

/** The same, with whether he is dead. */
export const party = (one) => `${who(one)}${one?.alive === false ? ", dead" : ""}`;

export const segmentLink = (id) => `#/segment/${id}`;
