// What nobody seems to use, and why it is thought so.

import { $, badgeIn, h, link, table } from "./dom.js";
import { bytes, segmentLink } from "./format.js";
import { askRemoval, isRemovalAllowed } from "./remove.js";

const TONES = { garbage: "warn", unsure: "", keep: "good" };
const ORDER = ["garbage", "unsure", "keep"];

const show = table($("garbage"), {
  caption: "Verdicts",
  empty: "No segment.",
  key: (one) => one.id,
  sorted: { title: "Verdict", descending: false },
  columns: [
    { title: "Segment", sort: (one) => one.title, fill: (cell, one) => link(cell, segmentLink(one.id), one.title) },
    { title: "Size", number: true, sort: (one) => one.size_bytes, value: (one) => bytes(one.size_bytes) },
    { title: "Verdict", sort: (one) => ORDER.indexOf(one.verdict), fill: (cell, one) => badgeIn(cell, one.verdict, TONES[one.verdict]) },
    { title: "Why", value: (one) => one.verdict_why },
    { title: "", fill: offer },
  ],
});

/** A button where somebody may want it. */
function offer(cell, segment) {
  const isWanted = isRemovalAllowed() && segment.verdict !== "keep";
  if (!isWanted) return cell.replaceChildren();
  const button = cell.firstElementChild ?? cell.appendChild(h("button", { type: "button", className: "danger" }, "Remove…"));
  button.setAttribute("aria-label", `Remove ${segment.title}`);
  button.onclick = () => askRemoval(segment);
}

export function showGarbage({ scene }) {
  show(scene.segments);
}
