// What is asked of every view.

export function expect(is, what) {
  if (!is) throw new Error(what);
}

/** Waits until something is so. */
export async function until(what, isSo) {
  const end = Date.now() + 15_000;
  while (!(await isSo())) {
    if (Date.now() > end) throw new Error(`not seen: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** No element that is not of our own making. */
export async function noMarkup(page) {
  const found = await page.evaluate(() =>
    [...document.querySelectorAll("body img, body script, body b, iframe, object, [onerror], [onload], [onclick]")].map((one) => one.outerHTML));
  expect(found.length === 0, `markup came through: ${found.join(" ")}`);
}

export async function checkWidth(page, width) {
  const wide = await page.evaluate((width) => {
    const isScrolled = (element) => element.closest(".scroll") !== null;
    const over = [...document.querySelectorAll("body *")].filter((one) => !isScrolled(one) && one.getBoundingClientRect().right > width + 0.5);
    return { own: document.documentElement.scrollWidth, over: over.slice(0, 3).map((one) => one.outerHTML.slice(0, 120)) };
  }, width);
  expect(wide.own <= width && wide.over.length === 0, `${page.url()}: ${wide.own} px wide: ${wide.over.join(" | ")}`);
}

/** What an assistive technology needs: names, labels, an order of headings. */
export async function checkBasics(page) {
  const wrong = await page.evaluate(() => {
    const found = [];
    const isSeen = (one) => one.checkVisibility();
    const all = (selector) => [...document.querySelectorAll(selector)].filter(isSeen);
    const name = (one) => (one.getAttribute("aria-label") ?? one.textContent).trim();
    for (const one of all("a, button, [role=img], [role=region], table, meter")) {
      if (name(one) === "") found.push(`no name: ${one.outerHTML.slice(0, 100)}`);
    }
    for (const one of all("table, [role=img], meter")) {
      if (!one.hasAttribute("aria-label")) found.push(`no label: ${one.outerHTML.slice(0, 100)}`);
    }
    for (const one of all("input")) {
      if (one.labels.length === 0) found.push(`no label: ${one.outerHTML}`);
    }
    for (const one of all("thead th")) {
      if (one.scope !== "col") found.push(`no scope: ${one.outerHTML}`);
    }
    const ids = [...document.querySelectorAll("[id]")].map((one) => one.id);
    found.push(...ids.filter((id, index) => ids.indexOf(id) !== index).map((id) => `id twice: ${id}`));
    if (all("h1").length !== 1) found.push(`${all("h1").length} titles`);
    let level = 1;
    for (const one of all("h1, h2, h3")) {
      const own = Number(one.tagName[1]);
      if (own > level + 1) found.push(`a heading too deep: ${one.outerHTML.slice(0, 100)}`);
      level = own;
    }
    if (document.documentElement.lang === "" || document.title === "") found.push("no language or title");
    if (document.querySelectorAll("nav a[aria-current=page]").length !== 1) found.push("no current view");
    return found;
  });
  expect(wrong.length === 0, `${page.url()}: ${wrong.join("; ")}`);
}

/** Text against what is behind it: 4.5 to 1. */
export async function checkContrast(page) {
  const wrong = await page.evaluate(() => {
    // Colours as they are painted, in whatever notation they are given.
    const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
    const painted = (...colors) => {
      canvas.clearRect(0, 0, 1, 1);
      for (const color of colors) {
        canvas.fillStyle = color;
        canvas.fillRect(0, 0, 1, 1);
      }
      return [...canvas.getImageData(0, 0, 1, 1).data];
    };
    const light = ([r, g, b]) => {
      const [x, y, z] = [r, g, b].map((part) => (part / 255 <= 0.04045 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4));
      return 0.2126 * x + 0.7152 * y + 0.0722 * z;
    };
    const found = new Map();
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      const one = node.parentElement;
      if (node.data.trim() === "" || !one.checkVisibility() || one.closest(".flash, .skip, :disabled")) continue;
      const behind = [];
      for (let up = one; up; up = up.parentElement) behind.unshift(getComputedStyle(up).backgroundColor);
      const ground = light(painted("white", ...behind));
      const text = light(painted("white", ...behind, getComputedStyle(one).color));
      const ratio = (Math.max(ground, text) + 0.05) / (Math.min(ground, text) + 0.05);
      if (ratio < 4.5) found.set(`${one.tagName}.${one.className}`, ratio.toFixed(2));
    }
    return [...found].map(([what, ratio]) => `${what} ${ratio}`);
  });
  expect(wrong.length === 0, `${page.url()}: too little contrast: ${wrong.join(", ")}`);
}
