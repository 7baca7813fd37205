// Keeps a page up to date. Everything works without it.
//
// The server says when something has changed; then the page is fetched again and the present one is
// made equal to it, node by node. So focus, scroll position, open folds and typed text stay.
"use strict";

const POLL_MS = 15000; // Times such as "12 s ago" grow old without any news.
const SETTLE_MS = 1500; // How long a new button cannot be pressed: nobody has read what it does.
const NAME_KEY = "paramedic-name";

let source = null;
let fetching = false;
let again = false;

async function refresh() {
  if (fetching) {
    again = true;
    return;
  }
  fetching = true;
  try {
    const response = await fetch(location.href, { headers: { accept: "text/html" } });
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const main = page.getElementById("main");
    if (!main) throw new Error("not a page of this server");
    lost(false);
    update(page, main);
  } catch {
    lost(true);
  } finally {
    fetching = false;
  }
  if (again) {
    again = false;
    refresh();
  }
}

function update(page, main) {
  const present = document.getElementById("main");
  const news = main.dataset.news;
  if (news && news !== present.dataset.news) {
    document.getElementById("news").textContent = news;
  }
  document.title = page.title;
  morph(present, main);
  for (const part of ["header.site", "#asof", "#lost time"]) {
    const [old, fresh] = [document.querySelector(part), page.querySelector(part)];
    if (old && fresh) morph(old, fresh);
  }
  names();
}

function alike(a, b) {
  return a.nodeType === b.nodeType && a.nodeName === b.nodeName && (a.id || "") === (b.id || "");
}

// What the person has a hand in: whether a fold is open, what a field holds, whether a button rests.
const OWN = { DETAILS: ["open"], INPUT: ["value"], BUTTON: ["disabled"] };

function morph(old, fresh) {
  if (old.isEqualNode(fresh)) return;
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
    return;
  }
  const hidden = old.nodeName === "INPUT" && old.type === "hidden";
  const own = hidden ? [] : OWN[old.nodeName] || [];
  for (const { name, value } of [...fresh.attributes]) {
    if (!own.includes(name) && old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  for (const { name } of [...old.attributes]) {
    if (!own.includes(name) && !fresh.hasAttribute(name)) old.removeAttribute(name);
  }
  let at = old.firstChild;
  for (const next of [...fresh.childNodes]) {
    const known = next.id && old.querySelector(`:scope > #${CSS.escape(next.id)}`);
    if (known && alike(known, next)) {
      while (at !== known && at && !(at.id && fresh.querySelector(`:scope > #${CSS.escape(at.id)}`))) {
        const gone = at;
        at = at.nextSibling;
        gone.remove();
      }
      if (at === known) at = at.nextSibling;
      else old.insertBefore(known, at);
      morph(known, next);
    } else if (at && !next.id && alike(at, next)) {
      morph(at, next);
      at = at.nextSibling;
    } else {
      const added = old.insertBefore(document.importNode(next, true), at);
      if (added.nodeType === Node.ELEMENT_NODE) settle(added);
    }
  }
  while (at) {
    const gone = at;
    at = at.nextSibling;
    gone.remove();
  }
}

function settle(added) {
  for (const button of added.querySelectorAll("[data-settle]")) {
    button.disabled = true;
    setTimeout(() => { button.disabled = false; }, SETTLE_MS);
  }
}

function lost(is) {
  document.getElementById("lost").hidden = !is;
}

// A connection per visible page only: a browser has six for one server.
function listen() {
  if (document.hidden) {
    source?.close();
    source = null;
    return;
  }
  if (source && source.readyState !== EventSource.CLOSED) return;
  source = new EventSource("/api/paramedic/v1/events");
  source.addEventListener("changed", refresh);
  source.addEventListener("error", refresh);
}

// The name that signs what a person does, remembered in this browser.
function names() {
  let name = null;
  try { name = localStorage.getItem(NAME_KEY); } catch { /* Storage may be forbidden. */ }
  for (const field of document.querySelectorAll("input.by")) {
    if (name && !field.value && field !== document.activeElement) field.value = name;
  }
}

document.addEventListener("submit", (event) => {
  const name = event.target.querySelector("input.by")?.value.trim();
  try { if (name) localStorage.setItem(NAME_KEY, name); } catch { /* As above. */ }
});
document.addEventListener("visibilitychange", () => {
  listen();
  if (!document.hidden) refresh();
});
setInterval(() => {
  if (document.hidden) return;
  listen();
  refresh();
}, POLL_MS);
names();
listen();
