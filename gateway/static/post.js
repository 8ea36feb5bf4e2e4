// Sends the form of a hand-over page by itself. The page has a button for everyone without JavaScript, and for who comes
// back to it with the browser's "back": sending the same answer twice would only be refused.
"use strict";

(() => {
  const [navigation] = performance.getEntriesByType("navigation");
  if (navigation && navigation.type === "back_forward") return;
  const form = document.getElementById("handover");
  // A field may be called "submit" and hide the form's own method.
  HTMLFormElement.prototype.submit.call(form);
})();
