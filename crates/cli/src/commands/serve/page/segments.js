// All segments, to be sorted and filtered.

import { $, badgeIn, link, table, text } from "./dom.js";
import { ago, bytes, count, segmentLink } from "./format.js";

let now = 0;

const attached = (segment) => {
  const names = new Set((segment.attached ?? []).map((one) => `${one.pid} ${one.command ?? "?"}`));
  const hidden = segment.hidden_count > 0 ? [`+${segment.hidden_count} hidden`] : [];
  return [...names, ...hidden].join(", ");
};

const status = (segment) => [segment.removed && "removed", segment.locked && "locked"].filter(Boolean).join(", ");

/** What share of the pages that were looked at has changed. */
const share = ({ activity }) => (activity?.looked_page_count > 0 ? activity.changed_page_count / activity.looked_page_count : null);

const region = (segment) => segment.region?.type ?? (segment.region?.unreadable ? `? ${segment.region.unreadable}` : "");

const show = table($("segments"), {
  caption: "Segments",
  empty: "No segment.",
  key: (segment) => segment.id,
  columns: [
    { title: "Segment", sort: (one) => one.title, fill: (cell, one) => link(cell, segmentLink(one.id), one.title) },
    { title: "Key", sort: (one) => one.key_hex, value: (one) => one.key_hex },
    { title: "Id", number: true, sort: (one) => one.id, value: (one) => one.id },
    { title: "Owner", sort: (one) => one.user ?? one.uid, value: (one) => `${one.user ?? one.uid} ${one.mode_octal}` },
    { title: "Size", number: true, sort: (one) => one.size_bytes, value: (one) => bytes(one.size_bytes) },
    { title: "Resident", number: true, sort: (one) => one.resident_bytes, value: (one) => bytes(one.resident_bytes) },
    { title: "Changing", number: true, sort: share, value: (one) => (share(one) === null ? "" : `${Math.round(share(one) * 100)} %`) },
    { title: "Type", sort: region, value: region },
    { title: "Attached", number: true, sort: (one) => one.attachment_count, value: (one) => count(one.attachment_count) },
    { title: "By", value: attached },
    { title: "Changed", sort: (one) => one.change_time, value: (one) => ago(one.change_time, now) },
    {
      title: "Status",
      sort: status,
      fill: (cell, one) => (status(one) ? badgeIn(cell, status(one), one.removed ? "warn" : "") : cell.replaceChildren()),
    },
  ],
});

export function showSegments({ scene }) {
  now = scene.unix_ms;
  const words = $("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  const isMeant = (segment) => {
    const all = [segment.title, segment.key_hex, `id:${segment.id}`, segment.user ?? segment.uid, region(segment), attached(segment), status(segment)];
    const line = all.join(" ").toLowerCase();
    return words.every((word) => line.includes(word));
  };
  const meant = scene.segments.filter(isMeant);
  show(meant);
  text($("filter-count"), words.length > 0 ? `${meant.length} of ${scene.segments.length}` : "");
  $("filter").oninput = () => showSegments({ scene });
}
