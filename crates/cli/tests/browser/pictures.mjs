// The page as it was drawn before: what the server once sent, in a typeface of our own, compared point by point.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import pixelmatch from "pixelmatch";
import { PNG } from "pngjs";
import { expect, until } from "./checks.mjs";

const HERE = import.meta.dirname;
const EXPECTED = join(HERE, "pictures");
const SENT = join(EXPECTED, "sent.txt");
const SCENES = 4;
/** Of a thousand points so many may differ: letters are not drawn alike by every version of a browser. */
const PER_MILLE_MAX = 3;

/** [name, width, height, scheme, view]; `segment` is the one whose details were sent. */
const PICTURES = [
  ["overview", 1100, 900, "light", ""],
  ["overview-dark", 1100, 900, "dark", ""],
  ["segments", 1100, 500, "light", "segments"],
  ["processes", 1100, 500, "light", "processes"],
  ["locks", 1100, 600, "light", "locks"],
  ["channels", 1100, 600, "dark", "channels"],
  ["garbage", 1100, 500, "light", "garbage"],
  ["segment", 1100, 1400, "light", "segment"],
  ["phone", 360, 1200, "light", "segment"],
];

/** Keeps what the server sends to who looks at a segment, up to a few looks. */
export async function record(base, token, id) {
  const response = await fetch(`${base}/events/${id}`, { headers: { Authorization: `Bearer ${token}` } });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (text.split("event: details\n").length <= SCENES || !text.endsWith("\n\n")) {
    const { done, value } = await reader.read();
    if (done) throw new Error("the server ended");
    text += value;
  }
  await reader.cancel();
  mkdirSync(EXPECTED, { recursive: true });
  writeFileSync(SENT, text);
}

/** A page that is sent what was sent then, and nothing more. */
async function open(browser, base, token, [, width, height, colorScheme, view]) {
  const sent = readFileSync(SENT, "utf8");
  const id = sent.match(/event: details\ndata: .*?"id":(\d+)/)[1];
  const context = await browser.newContext({
    viewport: { width, height },
    colorScheme,
    timezoneId: "UTC",
    reducedMotion: "reduce",
    // The typeface comes from here.
    bypassCSP: true,
  });
  await context.addInitScript((text) => {
    const real = globalThis.fetch;
    const stream = () => new ReadableStream({ start: (control) => control.enqueue(new TextEncoder().encode(text)) });
    globalThis.fetch = (path, options) =>
      String(path).startsWith("/events") ? Promise.resolve(new Response(stream())) : real(path, options);
  }, sent);
  const page = await context.newPage();
  await page.goto(`${base}/#token=${token}`);
  await page.evaluate((hash) => { location.hash = hash; }, `#/${view === "segment" ? `segment/${id}` : view}`);
  await page.addStyleTag({ content: typeface() });
  await page.locator(`#view-${view || "overview"}`).waitFor();
  await until("live", () => page.locator("#status[data-state=live]").count());
  await page.evaluate(() => document.fonts.load("15px ours").then(() => document.fonts.ready));
  await page.waitForTimeout(300);
  return page;
}

function typeface() {
  const file = join(HERE, "node_modules/@fontsource/dejavu-sans/files/dejavu-sans-latin-400-normal.woff2");
  const data = readFileSync(file).toString("base64");
  return `@font-face { font-family: ours; src: url(data:font/woff2;base64,${data}) }
    *, *::before, *::after { font-family: ours !important; font-weight: 400 !important; caret-color: transparent !important }`;
}

/** Fails if a picture is not as it was; `accept` makes them anew. What differs is left in `scratch`. */
export async function compare(browser, base, token, { accept, scratch }) {
  const faults = [];
  for (const picture of PICTURES) {
    const [name] = picture;
    const page = await open(browser, base, token, picture);
    const taken = await page.screenshot({ animations: "disabled" });
    await page.context().close();
    const path = join(EXPECTED, `${name}.png`);
    if (accept) {
      writeFileSync(path, taken);
      continue;
    }
    expect(existsSync(path), `${path} is not there`);
    const fault = difference(readFileSync(path), taken, join(scratch, `${name}-differs.png`));
    if (fault) {
      writeFileSync(join(scratch, `${name}.png`), taken);
      faults.push(`${name}: ${fault}`);
    }
  }
  expect(faults.length === 0, `${faults.join("; ")}; see ${scratch}; cargo xtask browser --accept if it is meant`);
}

function difference(before, now, path) {
  const [one, other] = [PNG.sync.read(before), PNG.sync.read(now)];
  const { width, height } = one;
  if (other.width !== width || other.height !== height) return `${other.width} by ${other.height} points`;
  const marked = new PNG({ width, height });
  const count = pixelmatch(one.data, other.data, marked.data, width, height, { threshold: 0.1 });
  if (count * 1000 <= width * height * PER_MILLE_MAX) return null;
  writeFileSync(path, PNG.sync.write(marked));
  return `${count} of ${width * height} points differ`;
}
