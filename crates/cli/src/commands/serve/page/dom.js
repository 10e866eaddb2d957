// Building and updating the page. Text of other processes becomes text here, never markup.

/** An element with properties, attributes (`data-…`, `aria-…`, `role` …) and children; strings are text. */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in element && !name.includes("-")) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

export const $ = (id) => document.getElementById(id);

/** Writes only what differs, so that selections and screen readers are left in peace. */
export function text(element, value) {
  const string = String(value ?? "");
  if (element.textContent !== string) element.textContent = string;
  return element;
}

export function attribute(element, name, value) {
  if (value === null || value === undefined || value === false) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
}

const kept = new WeakMap();

/**
 * Makes the children of `parent` those of `items`, each by its key: what stays is updated where it is, so that focus
 * and scrolling stay too. `make(item)` gives an element; `update(element, item)` fills it.
 */
export function each(parent, items, key, make, update) {
  const before = kept.get(parent) ?? new Map();
  const now = new Map();
  for (const item of items) {
    const name = key(item);
    if (!now.has(name)) now.set(name, { item, element: before.get(name) });
  }
  for (const [name, element] of before) {
    if (!now.has(name)) element.remove();
  }
  const focused = parent.contains(document.activeElement) ? document.activeElement : null;
  let next = parent.firstElementChild;
  for (const [name, entry] of now) {
    const element = entry.element ?? make(entry.item);
    update(element, entry.item);
    now.set(name, element);
    if (element === next) next = next.nextElementSibling;
    else parent.insertBefore(element, next);
  }
  kept.set(parent, now);
  // What was moved has lost it.
  if (focused && focused !== document.activeElement) focused.focus({ preventScroll: true });
}

/** A row of facts: names and values. */
export function facts(list, pairs) {
  const shown = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "");
  const make = () => h("div", {}, h("dt"), h("dd"));
  each(list, shown, ([name]) => name, make, (row, [name, value]) => {
    text(row.firstElementChild, name);
    text(row.lastElementChild, value);
  });
}

export function badge(element, word, tone = "") {
  const className = `badge ${tone}`.trim();
  if (element.className !== className) element.className = className;
  return text(element, word);
}

/**
 * A table whose columns sort it. Columns: `{ title, value(item), sort?(item), number?, fill?(cell, item) }`.
 * Returns the function that shows items.
 */
export function table(place, { caption, columns, key, empty, sorted = null, row = () => {} }) {
  let order = sorted;
  let last = [];
  const heads = columns.map((column) => {
    const head = h("th", { scope: "col", role: "columnheader", className: column.number ? "number" : "" });
    if (!column.sort) return text(head, column.title);
    head.classList.add("sortable");
    const button = h("button", { type: "button" }, column.title);
    button.addEventListener("click", () => {
      const isSame = order?.title === column.title;
      order = { title: column.title, descending: isSame ? !order.descending : Boolean(column.number) };
      show(last);
    });
    head.append(button);
    return head;
  });
  const body = h("tbody", { role: "rowgroup" });
  const none = h("p", { className: "quiet", hidden: true }, empty);
  const element = h("table", { role: "table", className: "stack", "aria-label": caption },
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, ...heads)), body);
  element.addEventListener("keydown", walk);
  place.append(element, none);

  const make = () => h("tr", { role: "row" }, ...columns.map((column) => {
    const className = [column.number && "number", column.code && "code"].filter(Boolean).join(" ");
    return h("td", { role: "cell", className, ...(column.title && { "data-label": column.title }) });
  }));
  const update = (line, item) => {
    columns.forEach((column, index) => {
      const cell = line.children[index];
      if (column.fill) column.fill(cell, item);
      else text(cell, column.value(item));
    });
    row(line, item);
  };
  function show(items) {
    last = items;
    columns.forEach((column, index) => {
      const isOrder = order && order.title === column.title;
      attribute(heads[index], "aria-sort", isOrder ? (order.descending ? "descending" : "ascending") : null);
    });
    const column = order && columns.find((one) => one.title === order.title);
    if (column) {
      const sign = order.descending ? -1 : 1;
      items = [...items].sort((a, b) => sign * compare(column.sort(a), column.sort(b)));
    }
    element.hidden = items.length === 0;
    none.hidden = items.length !== 0;
    each(body, items, key, make, update);
  }
  return show;
}

function compare(a, b) {
  if (typeof a === "string" || typeof b === "string") return String(a).localeCompare(String(b), "en", { numeric: true });
  return (a ?? -1) - (b ?? -1);
}

/** Arrows go from row to row, along what can have the focus there. */
function walk(event) {
  const step = { ArrowDown: 1, ArrowUp: -1, Home: -Infinity, End: Infinity }[event.key];
  const line = event.target.closest("tbody tr");
  if (!step || !line) return;
  const all = "a, button, input";
  const place = [...line.querySelectorAll(all)].indexOf(event.target);
  const lines = [...line.parentElement.children].filter((other) => other.querySelector(all));
  const index = Math.max(0, Math.min(lines.length - 1, lines.indexOf(line) + step));
  const choices = lines[index].querySelectorAll(all);
  (choices[place] ?? choices[0]).focus();
  event.preventDefault();
}

/** A link in a cell, made once. */
export function link(cell, href, words) {
  const anchor = cell.firstElementChild ?? cell.appendChild(h("a"));
  attribute(anchor, "href", href);
  text(anchor, words);
}

/** A badge in a cell, made once. */
export function badgeIn(cell, word, tone) {
  badge(cell.firstElementChild ?? cell.appendChild(h("span")), word, tone);
}
