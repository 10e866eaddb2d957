// How full channels are, how fast, and who is behind.

import { LENGTH, chart, draw } from "./chart.js";
import { $, badge, each, h, text } from "./dom.js";
import { count, many, party, rate, segmentLink } from "./format.js";

/** Of each channel, what it was at the last looks. */
const histories = new Map();

const keyOf = (segment, channel) => `${segment.id} ${channel.name}`;

const empty = () => ({ depth: [], sent: [], received: [], lag: [] });

/** How far the last of a broadcast's receivers is behind; none where none can be. */
function lagOf(channel) {
  const all = channel.receivers.map((one) => one.lag).filter((lag) => lag !== null && lag !== undefined);
  return all.length > 0 ? Math.max(...all) : null;
}

/** Called with each scene, shown or not: charts are to have no holes. */
export function remember(scene) {
  const there = new Set();
  for (const segment of scene.segments) {
    for (const channel of segment.inside?.channels ?? []) {
      const key = keyOf(segment, channel);
      there.add(key);
      const history = histories.get(key) ?? empty();
      histories.set(key, history);
      push(history.depth, channel.ready_count);
      push(history.sent, channel.sent_per_s);
      push(history.received, channel.received_per_s);
      push(history.lag, lagOf(channel));
    }
  }
  for (const key of histories.keys()) {
    if (!there.has(key)) histories.delete(key);
  }
}

function push(values, value) {
  values.push(value);
  if (values.length > LENGTH) values.shift();
}

/** Whether senders have to wait, or are refused. */
export const isFull = (channel) =>
  !channel.closed && channel.kind !== "broadcast that drops" && channel.ready_count >= channel.capacity;

function status(channel) {
  if (channel.orphan_count > 0) return ["orphaned", "bad"];
  if (channel.closed) return ["closed", ""];
  if (isFull(channel)) return ["full", "warn"];
  return ["open", "good"];
}

function makeCard(heading) {
  const depth = chart(false);
  const rates = chart(true);
  const lag = chart(false);
  rates.caption.append(h("span", { className: "key" }), " ", h("span", { className: "key second" }));
  const card = h("article", { className: "card" },
    h(heading, {}, h("a"), " ", h("span"), " ", h("span")), h("p", { className: "quiet" }),
    depth.figure, rates.figure, lag.figure,
    h("ul", { className: "ends" }));
  card.charts = { depth, rates, lag };
  return card;
}

function fillCard(card, { segment, channel }) {
  const [title, told, , , , ends] = card.children;
  const [anchor, name, mark] = title.children;
  anchor.href = segmentLink(segment.id);
  text(anchor, segment.title);
  text(name, channel.name);
  badge(mark, ...status(channel));
  const totals = [["sent", channel.sent_count], ["received", channel.received_count]]
    .filter(([, number]) => number !== null)
    .map(([word, number]) => `, ${count(number)} ${word}`);
  text(told, `${channel.kind}, ${many(channel.message_bytes, "byte")} each${totals.join("")}`);

  const history = histories.get(keyOf(segment, channel)) ?? empty();
  const { depth, rates, lag } = card.charts;
  const held = channel.held_count ? `, ${count(channel.held_count)} in hand` : "";
  const full = `${count(channel.ready_count)} of ${count(channel.capacity)} ready${held}`;
  text(depth.caption, full);
  draw(depth, [history.depth], channel.capacity, `Depth over time; now ${full}`);
  rates.figure.hidden = channel.sent_count === null && channel.received_count === null;
  const [sent, received] = rates.caption.children;
  text(sent, `sent ${rate(channel.sent_per_s)}`);
  text(received, `received ${rate(channel.received_per_s)}`);
  draw(rates, [history.sent, history.received], 0, `Rates over time; now sent ${rate(channel.sent_per_s)}, received ${rate(channel.received_per_s)}`);

  const behind = lagOf(channel);
  lag.figure.hidden = behind === null;
  if (behind !== null) {
    text(lag.caption, `the last one is ${count(behind)} behind`);
    draw(lag, [history.lag], channel.capacity, `Lag over time; now ${count(behind)} behind`);
  }

  const all = [
    ...channel.senders.map((one) => ({ role: "sends", one })),
    ...channel.receivers.map((one) => ({ role: "receives", one })),
  ];
  const key = ({ role, one }) => `${role} ${one.slot} ${one.generation} ${one.pid}`;
  each(ends, all, key, () => h("li"), (line, { role, one }) => {
    const lag = one.lag === undefined || one.lag === null ? "" : `, ${count(one.lag)} behind`;
    const lost = one.lag > channel.capacity ? `, ${count(one.lag - channel.capacity)} of them lost to it` : "";
    text(line, `${party(one)} ${role}${one.dead ? "; dead" : ""}${lag}${lost}`);
  });
}

/** `heading`: how deep in the page the cards' titles are. */
export function showChannelCards(place, all, heading) {
  each(place, all, ({ segment, channel }) => keyOf(segment, channel), () => makeCard(heading), fillCard);
}

export function showChannels({ scene }) {
  const all = scene.segments.flatMap((segment) => (segment.inside?.channels ?? []).map((channel) => ({ segment, channel })));
  $("no-channels").hidden = all.length > 0;
  showChannelCards($("channels"), all, "h2");
}
