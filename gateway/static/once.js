// A double click sends a form once. The server takes each step only once too; this spares people its error page.
"use strict";

(() => {
  const sent = new WeakSet();
  document.addEventListener("submit", (event) => {
    if (sent.has(event.target)) event.preventDefault();
    sent.add(event.target);
  });
  // After "back", from the browser's page cache, the form can be sent again.
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) for (const form of document.forms) sent.delete(form);
  });
})();
