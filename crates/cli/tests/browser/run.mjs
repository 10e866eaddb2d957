// The page of `coseg serve` in a real browser, with live data and names that are markup. Started by `cargo xtask browser`,
// which says by COSEG_BIN, STAGE_BIN, CHROMIUM, SHOTS and SCRATCH where things are.

import { execFileSync } from "node:child_process";
import { mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { checkBasics, checkContrast, checkWidth, expect, noMarkup, until } from "./checks.mjs";
import { compare, record } from "./pictures.mjs";
import { end, start } from "./processes.mjs";

const EVIL = "<img src=x onerror=alert(1)>";
const VIEWS = ["", "segments", "processes", "locks", "channels", "garbage", "events"];
const { COSEG_BIN, STAGE_BIN, CHROMIUM, SHOTS, SCRATCH, ACCEPT } = process.env;

const coseg = (...words) => execFileSync(COSEG_BIN, words, { encoding: "utf8" }).trim();

/** What no step may bring about. */
const mishaps = [];
let failed = 0;

async function step(name, take) {
  const begun = performance.now();
  let outcome = "ok";
  try {
    await take();
    if (mishaps.length > 0) throw new Error(mishaps.splice(0).join("; "));
  } catch (error) {
    failed += 1;
    outcome = `FAILED: ${error.message}`;
  }
  console.log(`${name.padEnd(44)} ${((performance.now() - begun) / 1000).toFixed(2).padStart(6)} s  ${outcome}`);
}

/** A page in which everything is noted that should not happen. */
async function open(browser, options) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 860 }, ...options });
  await context.addInitScript(() => {
    globalThis.violations = [];
    document.addEventListener("securitypolicyviolation", (event) => globalThis.violations.push(`${event.violatedDirective} ${event.blockedURI}`));
  });
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  page.on("dialog", (dialog) => {
    mishaps.push(`a dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  page.on("pageerror", (error) => mishaps.push(`an error: ${error.stack}`));
  page.on("request", (request) => {
    const { origin, protocol } = new URL(request.url());
    if (origin !== base && protocol !== "data:") mishaps.push(`a request to ${request.url()}`);
  });
  return page;
}

const go = async (page, view) => {
  await page.evaluate((hash) => { location.hash = hash; }, `#/${view}`);
  await page.locator(`#view-${view.split("/")[0] || "overview"}`).waitFor();
};
const live = (page) => until("live", () => page.locator("#status[data-state=live]").count());
const words = (page, selector) => page.locator(selector).allInnerTexts();

await start(STAGE_BIN, ["market"], /^ready$/m);
const server = await start(COSEG_BIN, ["serve", "--port", "0", "--every", "400ms"], /^http:\S+$/m);
const [base, token] = server.said.split("/#token=");
const id = (name) => JSON.parse(coseg("stat", name, "--json")).segments[0].id;
const [market, hostile] = [id("key:0x4d41"), id("key:0x666")];

const browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox", "--disable-gpu", "--font-render-hinting=none", "--disable-lcd-text"] });
const page = await open(browser);

await step("without the token there is nothing to see", async () => {
  const stranger = await open(browser);
  await stranger.goto(`${base}/`);
  await stranger.locator("#view-login").waitFor();
  expect(!(await stranger.content()).includes("market"), "data without a token");
  await stranger.keyboard.type("not-the-token");
  await stranger.keyboard.press("Enter");
  await stranger.locator("#view-login").waitFor();
  await stranger.locator("#token").fill(token);
  await stranger.keyboard.press("Enter");
  await live(stranger);
  await stranger.context().close();
});

await step("the token goes from the address", async () => {
  await page.goto(`${base}/#token=${token}`);
  await live(page);
  expect(!page.url().includes("token"), page.url());
  await page.reload();
  await live(page);
});

await step("overview: limits, notices, who has what", async () => {
  expect((await page.locator("#limits meter").count()) === 3, "three limits");
  await until("the orphaned lock", async () => (await words(page, "#notices li")).some((line) => /orphaned\s+market\s+lock till: holder \(\d+\) died/.test(line)));
  const row = page.locator("#overview-matrix tbody tr", { hasText: "market" });
  expect((await row.locator("td.rw").count()) >= 5, "the market's processes");
});

await step("segments: sorted, filtered, by arrows", async () => {
  await go(page, "segments");
  await until("all rows", async () => (await page.locator("#segments tbody tr").count()) === 3);
  await page.getByRole("button", { name: "Size" }).click();
  expect((await page.locator("#segments th[aria-sort=descending]").count()) === 1, "sorted");
  const first = page.locator("#segments tbody tr").first();
  expect((await first.innerText()).includes("0x00004242"), "the largest first");
  await first.locator("a").focus();
  await page.keyboard.press("ArrowDown");
  const focused = await page.evaluate(() => document.activeElement.closest("tr")?.rowIndex);
  expect(focused === 2, `the second row, not ${focused}`);
  await page.keyboard.press("End");
  expect((await page.evaluate(() => document.activeElement.closest("tr").rowIndex)) === 3, "the last row");
  await page.locator("#filter").fill("mark");
  expect((await page.locator("#segments tbody tr").count()) === 1, "filtered");
  await page.locator("#filter").fill("");
});

await step("a segment: fields and pages, live", async () => {
  await go(page, `segment/${market}`);
  const price = page.locator("#fields tr", { hasText: "board[0].price" });
  await price.waitFor();
  expect((await price.innerText()).includes("EUR"), "its unit");
  const before = await price.locator("td").nth(1).innerText();
  await until("another value", async () => (await price.locator("td").nth(1).innerText()) !== before);
  await page.locator("#fields tr.flash").first().waitFor();
  await page.locator("#pages i.changed").first().waitFor();
  expect((await page.locator("#participants tbody tr").count()) >= 5, "participants");
  expect((await words(page, "#participants tbody tr")).some((line) => line.includes("dead")), "the dead one");
  expect((await page.locator("#attachers tbody tr").count()) >= 4, "attachers");
  await page.emulateMedia({ reducedMotion: "reduce" });
  const moving = await page.locator("#fields tr.flash td").first().evaluate((cell) => getComputedStyle(cell).animationName);
  expect(moving === "none", `less motion: ${moving}`);
  await page.emulateMedia({ reducedMotion: "no-preference" });
  await go(page, `segment/${id("key:0x4242")}`);
  await until("first bytes", async () => (await words(page, "#fields td")).some((cell) => cell.includes("<script>alert(")));
});

await step("locks: who holds, who waits", async () => {
  await go(page, "locks");
  const door = page.locator("#locks tbody tr", { hasText: "waiter" });
  await door.waitFor();
  expect(/door\s+held\s+holder \(\d+\)/.test((await door.innerText()).replaceAll("\n", " ")), await door.innerText());
  const first = await page.locator("#locks tbody tr").first().innerText();
  expect(first.includes("till") && first.includes("orphaned"), `the gravest first: ${first}`);
});

await step("channels: depth, rates, who is behind", async () => {
  await go(page, "channels");
  const quotes = page.locator("#channels article", { hasText: "quotes" });
  await until("a line", async () => /L/.test(await quotes.locator("path.first").first().getAttribute("d")));
  await until("the one who is behind", async () => /slow \(\d+\) receives, [\d,]+ behind/.test(await quotes.innerText()));
  expect((await page.locator("#channels article", { hasText: "orders" }).innerText()).includes("of 64 ready"), "depth");
});

await step("garbage: verdicts with reasons", async () => {
  await go(page, "garbage");
  const rows = await words(page, "#garbage tbody tr");
  expect(rows.some((row) => /keep\s+\d+ attachments?/.test(row)), rows.join("\n"));
});

await step("events, as they happen", async () => {
  await go(page, "events");
  coseg("create", "--key", "0x77", "--size", "4K");
  await until("created", async () => (await words(page, "#events li")).some((line) => /created\s+0x00000077/.test(line)));
});

await step("a segment is removed, after a question", async () => {
  await go(page, `segment/${id("key:0x77")}`);
  const remove = page.locator("#segment-remove");
  await remove.focus();
  await page.keyboard.press("Enter");
  await page.locator("dialog[open]").waitFor();
  expect((await page.evaluate(() => document.activeElement.id)) === "dialog-close", "the harmless answer first");
  await page.keyboard.press("Enter");
  expect((await page.locator("dialog[open]").count()) === 0, "kept");
  coseg("stat", "key:0x77");
  await remove.click();
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await until("removed", async () => (await page.locator("#dialog-answer").innerText()) === "Removed.");
  await page.keyboard.press("Escape");
  await page.locator("#segment-gone").waitFor();
  await go(page, `segment/${market}`);
  await remove.click();
  expect(await page.locator("#dialog-remove").isDisabled(), "in use: not without another word");
  await page.locator("#force").check();
  expect(await page.locator("#dialog-remove").isEnabled(), "with another word");
  await page.keyboard.press("Escape");
});

await step("markup of others is text", async () => {
  for (const view of [...VIEWS, `segment/${hostile}`]) {
    await go(page, view);
    await page.waitForTimeout(450);
    await noMarkup(page);
  }
  expect((await page.locator("#segment-title").innerText()) === EVIL, "its name");
  await until("its words", async () => (await words(page, "#fields td")).some((cell) => cell.includes("<svg onload=alert(3)>")));
  expect((await words(page, "#participants td"))[0].includes("<script>alert(4)</script>"), "its participant");
  expect((await words(page, "#attachers td"))[0] === "<b onclick=x>", "its process");
  expect((await page.evaluate(() => globalThis.violations)).length === 0, "the policy had to step in");
});

await step("by keyboard alone", async () => {
  await go(page, "");
  await page.reload();
  await live(page);
  await page.keyboard.press("Tab");
  expect((await page.evaluate(() => document.activeElement.id)) === "skip", "the skip link first");
  await page.keyboard.press("Enter");
  expect((await page.evaluate(() => document.activeElement.id)) === "main", "to the contents");
  await page.keyboard.press("Shift+Tab");
  await page.keyboard.press("Enter");
  await page.locator("#view-events").waitFor();
  expect((await page.evaluate(() => document.activeElement.id)) === "events-title", "the view's title");
  await page.locator("nav a", { hasText: "Locks" }).focus();
  const ring = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
  expect(ring !== "none", "the focus is seen");
});

await step("names, labels and contrast", async () => {
  for (const view of [...VIEWS, `segment/${market}`]) {
    await go(page, view);
    await checkBasics(page);
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme });
      await checkContrast(page);
    }
  }
  await page.emulateMedia({ colorScheme: "light" });
});

await step("nothing overflows on a phone", async () => {
  await page.setViewportSize({ width: 360, height: 740 });
  for (const view of [...VIEWS, `segment/${market}`, `segment/${hostile}`]) {
    await go(page, view);
    await page.waitForTimeout(100);
    await checkWidth(page, 360);
  }
});

await step("drawn as it was", async () => {
  if (ACCEPT) await record(base, token, market);
  await compare(browser, base, token, { accept: ACCEPT, scratch: SCRATCH });
});

await step("pictures", async () => {
  if (!SHOTS) return;
  mkdirSync(SHOTS, { recursive: true });
  const shoot = async (name, width, height, colorScheme, view) => {
    await page.setViewportSize({ width, height });
    await page.emulateMedia({ colorScheme });
    await go(page, view);
    await page.evaluate(() => { document.activeElement.blur(); scrollTo(0, 0); });
    await page.waitForTimeout(500);
    const path = join(SHOTS, `${name}.png`);
    await page.screenshot({ path });
    const { size } = statSync(path);
    expect(size > 5_000 && size < 150_000, `${name}: ${size} bytes`);
  };
  await shoot("overview", 1100, 800, "light", "");
  await shoot("overview-dark", 1100, 800, "dark", "");
  await shoot("channels", 1100, 560, "light", "channels");
  await shoot("phone", 360, 740, "light", `segment/${market}`);
});

await step("the end of the server is noticed", async () => {
  await page.setViewportSize({ width: 1280, height: 860 });
  await end(server);
  await until("not connected", () => page.locator("#status[data-state=lost]").count());
});

await browser.close();
console.log(failed === 0 ? "all ok" : `${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
