// One segment: who has it, which pages change, what is in it.

import { $, each, facts, h, table, text } from "./dom.js";
import { showChannelCards } from "./channels.js";
import { ago, bytes, count, many, party, span } from "./format.js";
import { lockTable } from "./locks.js";
import { askRemoval, isRemovalAllowed } from "./remove.js";

let now = 0;

const showAttachers = table($("attachers"), {
  caption: "Attached processes",
  empty: "Nobody is attached.",
  key: (one) => `${one.pid} ${one.address}`,
  columns: [
    { title: "Process", sort: (one) => one.command ?? "?", value: (one) => one.command ?? "?" },
    { title: "Pid", number: true, sort: (one) => one.pid, value: (one) => one.pid },
    { title: "User", sort: (one) => one.user ?? one.uid ?? "", value: (one) => one.user ?? one.uid ?? "?" },
    { title: "Access", sort: (one) => one.read_only, value: (one) => (one.read_only ? "reads" : "reads and writes") },
    { title: "At", value: (one) => one.address_hex },
    { title: "Size", number: true, sort: (one) => one.size_bytes, value: (one) => bytes(one.size_bytes) },
  ],
});

const showParticipants = table($("participants"), {
  caption: "Participants",
  empty: "Nobody has joined this region.",
  key: (one) => `${one.slot} ${one.generation}`,
  columns: [
    { title: "Participant", sort: (one) => one.name ?? "", value: party },
    { title: "Slot", number: true, sort: (one) => one.slot, value: (one) => `${one.slot} (${one.generation})` },
    { title: "User", number: true, sort: (one) => one.uid, value: (one) => one.uid },
    { title: "State", sort: alive, value: alive },
    { title: "Joined", sort: (one) => -one.joined_unix_ns, value: (one) => `${span(now - one.joined_unix_ns / 1e6)} ago` },
  ],
});

function alive(one) {
  if (one.alive === null) return "in another PID namespace";
  return one.alive ? "alive" : "dead";
}

const showLocks = lockTable($("segment-locks"), false);

const showFields = table($("fields"), {
  caption: "Contents",
  empty: "Nothing that can be seen without attaching it.",
  key: (one) => one.path,
  columns: [
    { title: "Field", value: (one) => one.path },
    { title: "Value", code: true, value: (one) => one.value },
    { title: "Unit", value: (one) => one.unit },
    {
      title: "Now",
      fill: (cell, one) => {
        const mark = cell.firstElementChild ?? cell.appendChild(h("span", { className: "mark" }));
        text(mark, one.changed ? "changed" : "");
      },
    },
  ],
  row: flash,
});

/** Lights up a row whose value is another than before. */
function flash(row, field) {
  const isOther = row.shown !== undefined && row.shown !== field.value;
  row.shown = field.value;
  if (!isOther) return;
  row.classList.remove("flash");
  // Two changes in a row light up twice.
  void row.offsetWidth;
  row.classList.add("flash");
}

export function showSegment(page) {
  const { scene, details, id } = page;
  now = scene.unix_ms;
  const segment = scene.segments.find((one) => one.id === id);
  $("segment-gone").hidden = Boolean(segment);
  $("segment-there").hidden = !segment;
  text($("segment-title"), segment?.title ?? `id ${id}`);
  if (!segment) return;

  const { inside, activity } = segment;
  const changing = activity && `${count(activity.changed_page_count)} of the ${many(activity.looked_page_count, "page")} looked at`;
  facts($("facts"), [
    ["Key", `${segment.key_hex}, id ${segment.id}`],
    ["Type", segment.region?.type ?? (segment.region?.unreadable ? `region, ${segment.region.unreadable}` : "no region")],
    ["Size", bytes(segment.size_bytes)],
    ["Resident", bytes(segment.resident_bytes)],
    ["Swapped out", segment.swapped_bytes > 0 ? bytes(segment.swapped_bytes) : ""],
    ["Changed since the last look", changing ?? ""],
    ["Owner", `${segment.user ?? segment.uid}:${segment.group ?? segment.gid}, mode ${segment.mode_octal}`],
    ["Made by", `pid ${segment.creator_pid}, uid ${segment.creator_uid}`],
    ["Made, or its mode changed", ago(segment.change_time, now)],
    ["Attached last", ago(segment.attach_time, now)],
    ["Detached last", ago(segment.detach_time, now)],
    ["Attachments", count(segment.attachment_count) + (segment.hidden_count > 0 ? `, ${count(segment.hidden_count)} hidden` : "")],
    ["Status", [segment.removed && "removed: goes with its last attachment", segment.locked && "locked in memory"].filter(Boolean).join(", ")],
    ["Garbage?", `${segment.verdict}: ${segment.verdict_why}`],
    ["Locks taken from the dead", inside ? count(inside.recovery_count) : ""],
  ]);
  $("segment-remove").hidden = !isRemovalAllowed();
  $("segment-remove").onclick = () => askRemoval(segment);
  showAttachers(segment.attached ?? []);
  $("segment-region").hidden = !inside;
  if (inside) {
    showParticipants(inside.participants);
    showLocks(inside.locks.map((lock) => ({ segment, lock })), now);
    showChannelCards($("segment-channels"), inside.channels.map((channel) => ({ segment, channel })), "h3");
  }
  for (const name of ["pages", "pages-told", "fields", "fields-more"]) $(name).hidden = !details;
  if (details) showDetails(details, segment);
}

function showDetails(details, segment) {
  showPages(details);
  text($("fields-title"), segment.inside ? "Values" : "First bytes");
  const words = $("field-filter").value.toLowerCase();
  const isMeant = (field) => `${field.path} ${field.value}`.toLowerCase().includes(words);
  showFields(details.fields.filter(isMeant));
  const more = details.left_out_count;
  text($("fields-more"), more > 0 ? `and ${many(more, segment.inside ? "value" : "line")} more` : "");
  $("field-filter").oninput = () => showDetails(details, segment);
}

function showPages({ cells, page_count: pages, page_bytes: size }) {
  const make = () => document.createElement("i");
  each($("pages"), cells, (cell) => cell.first_page, make, (square, cell) => {
    const isKnown = cell.resident_count !== null;
    const share = isKnown ? cell.resident_count / cell.page_count : 0;
    const name = cell.changed ? "changed" : !isKnown ? "unknown" : share === 0 ? "hole" : "resident";
    if (square.className !== name) square.className = name;
    square.style.setProperty("--share", (0.35 + 0.65 * share).toFixed(2));
    const last = cell.first_page + cell.page_count - 1;
    square.title = `${last === cell.first_page ? "page" : "pages"} ${cell.first_page}${last === cell.first_page ? "" : `–${last}`}: ${name}`;
  });
  const changed = cells.filter((cell) => cell.changed).length;
  const resident = cells.reduce((sum, cell) => sum + (cell.resident_count ?? 0), 0);
  const isKnown = cells.every((cell) => cell.resident_count !== null);
  const perSquare = cells[0]?.page_count ?? 1;
  const words = [
    `${many(pages, "page")} of ${bytes(size)}`,
    isKnown ? `${count(resident)} resident` : "it cannot be told which are resident",
    `${many(changed, "square")} changed since the last look`,
    `each square is ${many(perSquare, "page")}`,
  ].join(", ");
  text($("pages-told"), `${words}. Filled: resident; empty: never written; striped: not to be told; framed: changed.`);
  $("pages").setAttribute("aria-label", `Pages: ${words}`);
}
