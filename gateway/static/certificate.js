// The page that waits for a phone hears of it by server-sent events. Without JavaScript it refreshes itself.
"use strict";

(() => {
  const page = document.getElementById("waiting");
  const text = (id, words) => {
    const place = document.getElementById(id);
    if (place && place.textContent !== words) place.textContent = words;
  };
  const again = () => window.location.replace(window.location.href);
  let state = page.dataset.state;
  let events;

  const listen = () => {
    events = new EventSource(page.dataset.events);
    events.addEventListener("state", ({ data }) => {
      const news = JSON.parse(data);
      text("status", news.text);
      const notice = document.getElementById("notice");
      if (news.notice && notice) {
        text("notice-title", news.notice[0]);
        text("notice-advice", news.notice[1]);
        notice.hidden = false;
      }
      if (news.state === state) return;
      state = news.state;
      if (state === "waiting" || state === "fetched") return;
      events.close();
      if (state !== "over") return again();
      for (const part of document.querySelectorAll("[data-waiting], .decision")) part.hidden = true;
    });
    events.addEventListener("left", ({ data }) => text("time-left", data));
    // A connection that broke is opened again by the browser; one that was refused is not: look anew, without haste.
    events.addEventListener("error", () => {
      if (events.readyState === EventSource.CLOSED) setTimeout(again, 5000);
    });
  };

  window.addEventListener("pagehide", () => events.close());
  window.addEventListener("pageshow", (event) => event.persisted && again());
  listen();
})();
