// What has happened.

import { $, badge, each, h, text } from "./dom.js";
import { clock, segmentLink } from "./format.js";

const KEPT = 200;
const TONES = { died: "bad", orphaned: "bad", garbage: "warn", removed: "warn", recovered: "warn", created: "good" };

/** Newest first. */
let events = [];

/** Those that are news: after a new connection the server tells its last ones again. */
export function takeEvents(told) {
  const known = new Set(events.map(key));
  const news = told.filter((event) => !known.has(key(event)));
  events = [...news.reverse(), ...events].slice(0, KEPT);
}

const key = (event) => `${event.number} ${event.unix_ms} ${event.kind} ${event.id}`;

function make() {
  return h("li", {}, h("time"), h("span"), h("span", { className: "what" }, h("a"), " ", h("span")));
}

function fill(line, event) {
  const [time, mark, what] = line.children;
  text(time, clock(event.unix_ms));
  badge(mark, event.kind, TONES[event.kind]);
  what.firstElementChild.href = segmentLink(event.id);
  text(what.firstElementChild, event.title);
  text(what.lastElementChild, event.text);
}

export function drawEvents(place, most) {
  each(place, events.slice(0, most), key, make, fill);
}

export function showEvents() {
  $("no-events").hidden = events.length > 0;
  drawEvents($("events"), KEPT);
}
