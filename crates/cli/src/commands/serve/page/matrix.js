// Segments by processes: who is attached to what.

import { each, h, text } from "./dom.js";
import { many, segmentLink } from "./format.js";

/** Columns; what comes after is counted. */
const PROCESSES_MAX = 40;

export function showMatrix(place, { scene }, note) {
  const processes = new Map();
  const held = new Map();
  for (const segment of scene.segments) {
    for (const one of segment.attached ?? []) {
      processes.set(one.pid, one.command ?? "?");
      const key = `${segment.id} ${one.pid}`;
      const writes = !one.read_only || held.get(key)?.writes;
      held.set(key, { writes, times: (held.get(key)?.times ?? 0) + 1 });
    }
  }
  const shown = [...processes].sort(([a], [b]) => a - b).slice(0, PROCESSES_MAX);
  const rows = scene.segments.filter((segment) => segment.attachment_count > 0);
  const parts = place.firstElementChild ? place.parts : make(place);
  parts.scroll.hidden = rows.length === 0;
  parts.none.hidden = rows.length !== 0;

  const columns = [
    { key: "segment", name: "Segment", pid: "" },
    ...shown.map(([pid, name]) => ({ key: pid, name, pid })),
    { key: "hidden", name: "hidden", pid: "" },
  ];
  const makeHead = () => h("th", { scope: "col" }, h("span"), h("br"), h("span"));
  each(parts.head, columns, (column) => column.key, makeHead, (head, { name, pid }) => {
    text(head.firstElementChild, name);
    text(head.lastElementChild, pid);
  });
  const makeRow = () => h("tr", {}, h("th", { scope: "row" }, h("a")));
  each(parts.body, rows, (segment) => segment.id, makeRow, (row, segment) => {
    const anchor = row.firstElementChild.firstElementChild;
    anchor.href = segmentLink(segment.id);
    text(anchor, segment.title);
    anchor.title = segment.title;
    const cells = [...shown.map(([pid]) => held.get(`${segment.id} ${pid}`)), { hidden: segment.hidden_count ?? 0 }];
    while (row.children.length > cells.length + 1) row.lastElementChild.remove();
    while (row.children.length < cells.length + 1) row.append(h("td"));
    cells.forEach((cell, index) => fill(row.children[index + 1], cell));
  });
  const left = processes.size - shown.length;
  text(parts.more, left > 0 ? `and ${many(left, "process", "processes")} more` : "");
  if (note) text(note, scene.hidden_count > 0 ? `${many(scene.hidden_count, "attachment")} of processes that cannot be seen from here: other users', or in another PID namespace.` : "");
}

function fill(cell, held) {
  let words = "";
  let name = "";
  if (held?.hidden !== undefined) {
    words = held.hidden > 0 ? `+${held.hidden}` : "";
  } else if (held) {
    name = held.writes ? "rw" : "ro";
    words = held.times > 1 ? `${name} ×${held.times}` : name;
  }
  if (cell.className !== name) cell.className = name;
  text(cell, words);
}

function make(place) {
  const head = h("tr");
  const body = h("tbody");
  const table = h("table", { className: "matrix", "aria-label": "Segments and the processes attached to them" }, h("thead", {}, head), body);
  const scroll = h("div", { className: "scroll", tabIndex: 0, role: "region", "aria-label": "Who is attached to what" }, table);
  const none = h("p", { className: "quiet" }, "Nobody is attached to anything.");
  const more = h("p", { className: "quiet" });
  place.append(scroll, none, more);
  place.parts = { head, body, scroll, none, more };
  return place.parts;
}
