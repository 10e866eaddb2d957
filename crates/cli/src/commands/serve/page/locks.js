// Who holds which lock, and who waits for it.

import { $, badgeIn, link, table } from "./dom.js";
import { count, party, rate, segmentLink, span } from "./format.js";

const TONES = { free: "", reading: "good", held: "good", orphaned: "bad" };
/** The gravest first. */
const ORDER = ["orphaned", "held", "reading", "free"];

let now = 0;
const since = (ns) => (ns === null ? "" : span(now - ns / 1e6));

function waiters(lock) {
  return lock.waiters.map((waiter) => `${party(waiter)} for ${since(waiter.since_unix_ns)}`).join(", ");
}

/** A table of locks, each with its segment; returns what shows them. */
export function lockTable(place, isOfAll) {
  const region = { title: "Region", sort: ({ segment }) => segment.title, fill: (cell, { segment }) => link(cell, segmentLink(segment.id), segment.title) };
  const show = table(place, {
    caption: "Locks",
    empty: "No region that can be looked into has a lock.",
    key: ({ segment, lock }) => `${segment.id} ${lock.number}`,
    sorted: isOfAll ? { title: "State", descending: false } : null,
    columns: [
      ...(isOfAll ? [region] : []),
      { title: "Lock", sort: ({ lock }) => lock.name, value: ({ lock }) => lock.name },
      { title: "State", sort: ({ lock }) => ORDER.indexOf(lock.state), fill: (cell, { lock }) => badgeIn(cell, lock.state, TONES[lock.state]) },
      { title: "Holder", sort: ({ lock }) => (lock.holder ? party(lock.holder) : ""), value: ({ lock }) => (lock.holder ? party(lock.holder) : "") },
      { title: "Held for", sort: ({ lock }) => -(lock.held_since_unix_ns ?? Infinity), value: ({ lock }) => (lock.held_since_unix_ns === null ? "" : `${since(lock.held_since_unix_ns)} at least`) },
      { title: "Waiting", sort: ({ lock }) => -lock.waiters.length, value: ({ lock }) => waiters(lock) },
      { title: "Readers", value: ({ lock }) => lock.readers.map(party).join(", ") },
      { title: "Taken", number: true, sort: ({ lock }) => lock.acquisition_count, value: ({ lock }) => count(lock.acquisition_count) },
      { title: "Rate", number: true, sort: ({ lock }) => lock.per_s, value: ({ lock }) => rate(lock.per_s) },
    ],
  });
  return (locks, nowMs) => {
    now = nowMs;
    show(locks);
  };
}

const show = lockTable($("locks"), true);

export function showLocks({ scene }) {
  const locks = scene.segments.flatMap((segment) => (segment.inside?.locks ?? []).map((lock) => ({ segment, lock })));
  show(locks, scene.unix_ms);
}
