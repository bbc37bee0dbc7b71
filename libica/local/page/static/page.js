// Keeps a page up to date: what changed is fetched as the whole page and replaced part by part, and
// logs are continued from where they end. Without this script, everything works by reloading.
"use strict";

const MOST_LOG = 2000000; // characters of a log that stay on the page
const PAUSE = 700; // milliseconds between two updates
const POLL = 10000; // milliseconds, if there is no stream

const main = document.querySelector("main");
const live = document.getElementById("live");
let stream = null;
let timer = 0;
let wanted = false;
let busy = false;

function ago(seconds) {
  if (seconds < 5) return "just now";
  if (seconds < 60) return `${Math.floor(seconds)} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86400)} d ago`;
}

// As `duration` in rendering.py.
function lasting(seconds) {
  const whole = Math.floor(seconds);
  const two = (number) => String(number).padStart(2, "0");
  if (whole < 10) return `${Math.max(seconds, 0).toFixed(1)} s`;
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ${two(Math.floor((whole % 3600) / 60))} min`;
  return `${Math.floor(whole / 86400)} d ${two(Math.floor((whole % 86400) / 3600))} h`;
}

function count() {
  for (const each of document.querySelectorAll("[data-since]")) {
    each.textContent = lasting((Date.now() - Date.parse(each.dataset.since)) / 1000);
  }
}

function tick() {
  for (const each of document.querySelectorAll("time")) {
    const seconds = (Date.now() - Date.parse(each.dateTime)) / 1000;
    if (seconds < 30 * 86400) each.textContent = ago(seconds);
  }
}

function usable() {
  for (const each of document.querySelectorAll("[data-copy]")) {
    each.hidden = !navigator.clipboard;
  }
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  await navigator.clipboard.writeText(button.dataset.copy);
  button.classList.add("done");
  setTimeout(() => button.classList.remove("done"), 1500);
});

// A second press of a button would only repeat what the first one does.
document.addEventListener("submit", (event) => {
  if (event.target.method !== "post") return;
  if (event.target.dataset.sent) event.preventDefault();
  event.target.dataset.sent = "1";
});
addEventListener("pageshow", () => {
  for (const each of document.querySelectorAll("[data-sent]")) delete each.dataset.sent;
});

// A file is shown before it is sent, and only its text is.
for (const each of document.querySelectorAll("[data-file]")) each.hidden = false;
document.addEventListener("change", async (event) => {
  const table = document.getElementById(event.target.dataset.file ?? "");
  if (table && event.target.files.length) table.value = await event.target.files[0].text();
});

// How to find an element again in a part that was replaced.
function nameOf(element) {
  if (!element || !element.closest("[data-live]")) return null;
  if (element.id) return `#${CSS.escape(element.id)}`;
  const href = element.getAttribute("href");
  if (href) return `a[href="${CSS.escape(href)}"]`;
  return element.tagName === "SUMMARY" ? "details.confirm > summary" : null;
}

function replace(fresh) {
  for (const old of document.querySelectorAll("[data-live]")) {
    const part = fresh.getElementById(old.id);
    if (!part || old.querySelector("details[open]") || old.contains(document.activeElement?.form)) continue;
    const focused = old.contains(document.activeElement) ? nameOf(document.activeElement) : null;
    const across = old.querySelector(".scroll")?.scrollLeft ?? 0;
    old.replaceWith(document.adoptNode(part));
    const scroll = part.querySelector(".scroll");
    if (scroll) scroll.scrollLeft = across;
    if (focused) part.querySelector(focused)?.focus({ preventScroll: true });
  }
  usable();
}

async function extend(log) {
  for (;;) {
    const response = await fetch(`${log.dataset.log}?from=${log.dataset.next}`);
    const next = response.headers.get("X-Next");
    if (!response.ok || next === log.dataset.next) return;
    const follows = log.scrollTop + log.clientHeight >= log.scrollHeight - 8;
    log.append(await response.text());
    log.dataset.next = next;
    while (log.textContent.length > MOST_LOG && log.childNodes.length > 1) log.firstChild.remove();
    if (follows) log.scrollTop = log.scrollHeight;
  }
}

async function update() {
  wanted = true;
  if (busy) return;
  busy = true;
  try {
    while (wanted) {
      wanted = false;
      const response = await fetch(location.href);
      if (response.status === 401) {
        location.reload();
        return;
      }
      if (response.ok) {
        const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
        replace(fresh);
        // Another attempt has begun, and the address asks for none.
        const [old, now] = [document, fresh].map((page) => page.getElementById("outputs"));
        if (now && now.dataset.attempt !== old.dataset.attempt) old.replaceWith(document.adoptNode(now));
        for (const log of document.querySelectorAll("[data-log]")) await extend(log);
        const facts = document.getElementById("facts");
        if (facts && !("unfinished" in facts.dataset)) disconnect();
      }
      await new Promise((done) => setTimeout(done, PAUSE));
    }
  } catch (error) {
    // The service has gone; the stream tries again by itself.
  } finally {
    busy = false;
  }
}

function show(works) {
  live.hidden = !main.dataset.events;
  live.textContent = works ? "Live" : "Not connected";
  live.classList.toggle("off", !works);
}

function connect() {
  if (stream || !main?.dataset.events || document.hidden) return;
  stream = new EventSource(main.dataset.events);
  stream.onopen = () => show(true);
  stream.onmessage = (event) => {
    const address = new URL(main.dataset.events, location);
    address.searchParams.set("seen", event.data);
    main.dataset.events = address.pathname + address.search;
    update();
  };
  stream.onerror = () => {
    show(false);
    if (stream?.readyState === EventSource.CLOSED) {
      stream = null;
      clearTimeout(timer);
      timer = setTimeout(() => update().then(connect), POLL);
    }
  };
}

function disconnect() {
  stream?.close();
  stream = null;
  clearTimeout(timer);
  const facts = document.getElementById("facts");
  if (facts && !("unfinished" in facts.dataset)) {
    main.removeAttribute("data-events");
    live.hidden = true;
  }
}

// A browser has few connections to a service, so a tab that nobody sees keeps none.
document.addEventListener("visibilitychange", () => (document.hidden ? disconnect() : connect()));
addEventListener("pagehide", disconnect);
addEventListener("pageshow", connect);
for (const log of document.querySelectorAll("[data-log]")) log.scrollTop = log.scrollHeight;
// On a phone the filters would push the runs off the screen.
const fold = document.querySelector(".fold");
if (fold && matchMedia("(max-width: 44rem)").matches) fold.open = false;
usable();
setInterval(tick, 5000);
setInterval(count, 1000);
connect();
