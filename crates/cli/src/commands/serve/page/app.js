// The page: which view is shown, and what the server sends into it.

import { $, attribute, text } from "./dom.js";
import { clock } from "./format.js";
import { Refused, follow, keepToken, takeToken } from "./stream.js";
import { remember as rememberChannels, showChannels } from "./channels.js";
import { showEvents, takeEvents } from "./events.js";
import { showGarbage } from "./garbage.js";
import { showLocks } from "./locks.js";
import { showMatrix } from "./matrix.js";
import { showOverview } from "./overview.js";
import { allowRemoval } from "./remove.js";
import { showSegment } from "./segment.js";
import { showSegments } from "./segments.js";

const views = {
  overview: showOverview,
  segments: showSegments,
  segment: showSegment,
  processes: (page) => showMatrix($("matrix"), page, $("hidden-note")),
  locks: showLocks,
  channels: showChannels,
  garbage: showGarbage,
  events: showEvents,
  login: () => {},
};

/** What is known: the last scene, the segment that is looked at closely, and which view is shown. */
const page = { scene: null, details: null, id: null, view: "overview", hello: null };
let connection = null;
let isPaused = false;

function route() {
  const [, name = "", id] = location.hash.match(/^#\/(\w*)(?:\/(\d+))?$/) ?? [];
  const view = name === "" ? "overview" : name;
  if (view === "segment" && id !== undefined) return { view, id: Number(id) };
  return { view: view in views && view !== "segment" && view !== "login" ? view : "overview", id: null };
}

function go(isFirst) {
  const { view, id } = route();
  const isOther = id !== page.id;
  Object.assign(page, { view, id, details: isOther ? null : page.details });
  show();
  if (!isFirst) $(`${view}-title`).focus({ preventScroll: true });
  if (!isFirst) scrollTo(0, 0);
  if (isFirst || isOther) connect();
}

function show() {
  for (const name of Object.keys(views)) $(`view-${name}`).hidden = name !== page.view;
  const own = page.view === "segment" ? "#/segments" : `#/${page.view === "overview" ? "" : page.view}`;
  for (const anchor of document.querySelectorAll("nav a")) {
    attribute(anchor, "aria-current", anchor.getAttribute("href") === own ? "page" : null);
  }
  if (page.scene) views[page.view](page);
  const title = $(`${page.view}-title`).textContent;
  document.title = `${title} – coseg`;
}

function state(name, words) {
  attribute($("status"), "data-state", name);
  text($("status"), words);
}

function trouble(words) {
  $("trouble").hidden = words === null;
  text($("trouble"), words);
}

const take = {
  hello(hello) {
    page.hello = hello;
    allowRemoval(!hello.read_only);
    text($("foot"), `coseg ${hello.version}, looks every ${hello.every_ms} ms while somebody watches`);
  },
  scene(scene) {
    page.scene = scene;
    rememberChannels(scene);
    text($("place"), scene.place);
    state("live", `live, ${clock(scene.unix_ms)}`);
    trouble(null);
    // The details of the same moment follow.
    if (page.view !== "segment" || !page.details) show();
  },
  details(details) {
    if (details && details.id !== page.id) return;
    page.details = details;
    show();
  },
  events({ events }) {
    takeEvents(events);
    if (page.view === "events" || page.view === "overview") show();
  },
  trouble: ({ error }) => trouble(error),
};

/** One connection, made again when it breaks; none while nobody sees the page. */
async function connect() {
  connection?.abort();
  if (isPaused || document.hidden) return;
  const own = (connection = new AbortController());
  const path = page.id === null ? "/events" : `/events/${page.id}`;
  let wait = 500;
  while (!own.signal.aborted) {
    try {
      await follow(path, own.signal, (name, document) => {
        if (own.signal.aborted) return;
        wait = 500;
        take[name]?.(document);
      });
      if (own.signal.aborted) return;
      state("lost", "the server has ended");
    } catch (error) {
      if (own.signal.aborted) return;
      if (error instanceof Refused) return login();
      state("lost", "not connected, trying again");
    }
    await new Promise((resolve) => setTimeout(resolve, wait));
    wait = Math.min(wait * 2, 8000);
  }
}

function login() {
  page.view = "login";
  state("lost", "no token");
  show();
  $("token").focus();
}

$("login").addEventListener("submit", (event) => {
  event.preventDefault();
  keepToken($("token").value.trim().replace(/^.*#token=/, ""));
  $("token").value = "";
  text($("login-answer"), "");
  go(true);
});

$("pause").addEventListener("click", () => {
  isPaused = !isPaused;
  attribute($("pause"), "aria-pressed", isPaused);
  if (isPaused) state("paused", "paused");
  connect();
});

$("skip").addEventListener("click", (event) => {
  event.preventDefault();
  $("main").focus();
});

addEventListener("hashchange", () => {
  go(takeToken());
});
document.addEventListener("visibilitychange", () => {
  if (document.hidden) connection?.abort();
  else connect();
});

takeToken();
go(true);
