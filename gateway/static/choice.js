// Search as you type over the list of municipalities that is already on the page. Names match in kanji, kana (either
// kind), and Latin letters in Hepburn or Kunrei spelling, with or without long-vowel marks.
"use strict";

(() => {
  const panel = document.getElementById("search-panel");
  const box = document.getElementById("search");
  const status = document.getElementById("search-status");
  const sections = [...document.querySelectorAll("[data-choices]")];

  const KUNREI = [
    [/sh(?=[auo])/g, "sy"], [/shi/g, "si"], [/ch(?=[auo])/g, "ty"], [/chi/g, "ti"], [/tsu/g, "tu"],
    [/fu/g, "hu"], [/j(?=[auo])/g, "zy"], [/ji/g, "zi"], [/o[uoh](?![aiueo])/g, "o"], [/uu/g, "u"],
  ];

  const fold = (text) =>
    text
      .normalize("NFKC")
      .toLowerCase()
      .normalize("NFD")
      .replace(/[\u0300-\u036f]/g, "")
      .normalize("NFC")
      .replace(/[\u30a1-\u30f6]/g, (kana) => String.fromCharCode(kana.charCodeAt(0) - 0x60));

  const kunrei = (text) => KUNREI.reduce((folded, [pattern, to]) => folded.replace(pattern, to), text);

  // While a Japanese input method is at work, Latin letters trail the kana: 「まえb」.
  const finished = (text) => text.replace(/([\u3041-\u309f\u4e00-\u9fff])[a-z]+$/, "$1");

  const choices = sections.flatMap((section) =>
    [...section.querySelectorAll("[data-search]")].map((item) => {
      const text = fold(item.dataset.search);
      return { item, text, kunrei: kunrei(text) };
    }),
  );

  const matches = (choice, words) =>
    words.every((word) => choice.text.includes(word) || choice.kunrei.includes(kunrei(word)));

  let announcing;
  const announce = (count) => {
    const { none, one, many } = status.dataset;
    const text = count === 0 ? none : count === 1 ? one : many;
    clearTimeout(announcing);
    announcing = setTimeout(() => (status.textContent = text.replace("{count}", count)), 250);
  };

  const filter = () => {
    const words = finished(fold(box.value)).split(/\s+/).filter(Boolean);
    let count = 0;
    for (const choice of choices) {
      const shown = matches(choice, words);
      choice.item.hidden = !shown;
      if (shown) count += 1;
    }
    for (const section of sections) {
      section.hidden = !section.querySelector("[data-search]:not([hidden])");
    }
    if (words.length > 0) return announce(count);
    clearTimeout(announcing);
    status.textContent = "";
  };

  box.addEventListener("input", filter);
  box.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.isComposing) return;
    event.preventDefault();
    document.querySelector("[data-search]:not([hidden]) button")?.focus();
  });
  window.addEventListener("pageshow", filter);
  panel.hidden = false;
})();
