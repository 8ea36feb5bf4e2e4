// Keeps the operations page current: asks for the drawn sections every few seconds and puts in place what changed.
"use strict";

const main = document.getElementById("main");
const lost = document.getElementById("lost");
const icon = document.getElementById("icon");
const pause = Number(main.dataset.seconds) * 1000;
const shown = new Map();
let answeredAt = new Date();

function replace(id, html) {
  if (shown.get(id) === html) {
    return;
  }
  const section = document.getElementById(id);
  const focused = section.contains(document.activeElement) ? document.activeElement : null;
  if (focused && focused.tagName !== "SUMMARY" && !focused.classList.contains("table-wrap")) {
    return; // do not take from under somebody what they are using; it is current at the next round
  }
  const open = new Set(Array.from(section.querySelectorAll("details[open]"), (details) => details.id));
  const scrolled = section.querySelector(".table-wrap")?.scrollLeft ?? 0;
  const parsed = new DOMParser().parseFromString(html, "text/html");
  section.replaceChildren(...parsed.body.childNodes);
  for (const details of section.querySelectorAll("details")) {
    details.open = open.has(details.id);
  }
  const wrap = section.querySelector(".table-wrap");
  if (wrap) {
    wrap.scrollLeft = scrolled;
  }
  if (focused) {
    const again = focused.tagName === "SUMMARY"
      ? document.getElementById(focused.parentElement.id)?.querySelector("summary")
      : wrap;
    again?.focus({ preventScroll: true });
  }
  shown.set(id, html);
}

// The spoken status line is touched only when its words change, so that a screen reader is not interrupted for nothing.
function replaceStatus(html) {
  const parsed = new DOMParser().parseFromString(html, "text/html");
  const before = document.querySelector("#status .headline");
  const after = parsed.querySelector(".headline");
  if (before && before.textContent === after.textContent) {
    const banner = before.closest(".banner");
    const fresh = parsed.querySelector(".banner");
    if (banner.className === fresh.className && !banner.querySelector(".findings") && !fresh.querySelector(".findings")) {
      banner.querySelector(".quiet").replaceChildren(...fresh.querySelector(".quiet").childNodes);
      return;
    }
  }
  replace("status", html);
}

async function refresh() {
  try {
    const response = await fetch(main.dataset.source, { cache: "no-store", signal: AbortSignal.timeout(10000) });
    if (!response.ok) {
      throw new Error(String(response.status));
    }
    const { severity, title, sections } = await response.json();
    for (const [id, html] of Object.entries(sections)) {
      if (id === "status") {
        replaceStatus(html);
      } else {
        replace(id, html);
      }
    }
    document.title = title;
    const address = icon.dataset[severity];
    if (icon.getAttribute("href") !== address) {
      icon.setAttribute("href", address);
    }
    answeredAt = new Date();
    lost.hidden = true;
  } catch {
    document.getElementById("lost-since").textContent = answeredAt.toLocaleTimeString(document.documentElement.lang);
    lost.hidden = false;
  }
}

async function watch() {
  if (!document.hidden) {
    await refresh();
  }
  setTimeout(watch, pause);
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden) {
    refresh();
  }
});
setTimeout(watch, pause);
