// How much there is, and what wants a look.

import { $, badge, each, facts, h, text } from "./dom.js";
import { isFull } from "./channels.js";
import { drawEvents } from "./events.js";
import { bytes, count, many, segmentLink, who } from "./format.js";
import { showMatrix } from "./matrix.js";

/** Above this, a limit is no limit. */
const UNLIMITED = 2 ** 60;
/** Where a meter warns, and where it alarms, of its whole. */
const HIGH = 0.75;
const FULL = 0.9;

export function showOverview(page) {
  const { scene } = page;
  const { limits, usage } = scene;
  const pages = usage.page_size_bytes;
  each($("limits"), [
    { name: "Segments", used: usage.segment_count, limit: limits.shmmni, show: count, which: "shmmni" },
    { name: "All together", used: usage.total_pages * pages, limit: limits.shmall_pages * pages, show: bytes, which: "shmall" },
    { name: "Largest segment", used: usage.largest_segment_bytes, limit: limits.shmmax_bytes, show: bytes, which: "shmmax" },
  ], (one) => one.name, makeLimit, fillLimit);

  const garbage = scene.segments.filter((segment) => segment.verdict === "garbage");
  const wasted = garbage.reduce((sum, segment) => sum + segment.size_bytes, 0);
  const processes = new Set(scene.segments.flatMap((segment) => (segment.attached ?? []).map((one) => one.pid)));
  facts($("totals"), [
    ["Resident", bytes(usage.resident_bytes)],
    ["Swapped out", bytes(usage.swapped_bytes)],
    ["Processes attached", count(processes.size)],
    ["Attachments hidden", count(scene.hidden_count)],
    ["Regions", count(scene.segments.filter((segment) => segment.region?.type).length)],
    ["Garbage", garbage.length === 0 ? "none" : `${count(garbage.length)}, ${bytes(wasted)}`],
  ]);
  each($("notices"), notices(scene), (one) => one.key, makeNotice, fillNotice);
  showMatrix($("overview-matrix"), page);
  drawEvents($("overview-events"), 8);
}

function makeLimit() {
  return h("div", { className: "card" }, h("h2"), h("p", { className: "large" }), h("meter", { min: 0, max: 1, low: HIGH, high: FULL, optimum: 0 }), h("p", { className: "quiet" }));
}

function fillLimit(card, { name, used, limit, show, which }) {
  const [title, large, meter, note] = card.children;
  const share = limit > 0 ? Math.min(used / limit, 1) : 0;
  const of = limit >= UNLIMITED ? "no limit" : `of ${show(limit)} (${which})`;
  text(title, name);
  text(large, show(used));
  meter.value = share;
  meter.setAttribute("aria-label", `${name}: ${show(used)} ${of}`);
  text(note, limit >= UNLIMITED ? of : `${(share * 100).toFixed(share > 0 && share < 0.1 ? 1 : 0)} % ${of}`);
}

/** What somebody may want to do something about. */
function notices(scene) {
  const found = [];
  const tell = (segment, tone, word, words) =>
    found.push({ key: `${segment.id} ${word} ${words}`, segment, tone, word, words });
  for (const segment of scene.segments) {
    const inside = segment.inside;
    for (const lock of inside?.locks ?? []) {
      if (lock.state === "orphaned") tell(segment, "bad", "orphaned", `lock ${lock.name}: ${who(lock.holder)} died holding it`);
    }
    for (const one of inside?.participants ?? []) {
      if (one.alive === false) tell(segment, "warn", "dead", `${who(one)} died without leaving`);
    }
    for (const channel of inside?.channels ?? []) {
      if (channel.orphan_count > 0) tell(segment, "warn", "orphaned", `channel ${channel.name}: the dead had ${many(channel.orphan_count, "message")} in hand`);
      else if (isFull(channel)) tell(segment, "warn", "full", `channel ${channel.name} holds ${many(channel.capacity, "message")}`);
    }
    if (segment.region?.unreadable === "damaged") tell(segment, "bad", "damaged", "a region that cannot be read");
    if (segment.verdict === "garbage") tell(segment, "warn", "garbage", segment.verdict_why);
  }
  if (found.length === 0) found.push({ key: "none", tone: "good", word: "well", words: "nothing that can be seen from here" });
  return found;
}

function makeNotice() {
  return h("li", {}, h("span"), " ", h("a"), " ", h("span"));
}

function fillNotice(line, { segment, tone, word, words }) {
  const [mark, anchor, what] = line.children;
  badge(mark, word, tone);
  anchor.hidden = !segment;
  if (segment) {
    anchor.href = segmentLink(segment.id);
    text(anchor, segment.title);
  }
  text(what, words);
}
