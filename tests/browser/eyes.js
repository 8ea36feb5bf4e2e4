// What is wrong with the page that is open, one sentence each. Rules are those of WCAG 2.2, by number.
() => {
  const faults = [];
  const name = (element) => `<${element.tagName.toLowerCase()}> ${(element.textContent || element.id).trim().replace(/\s+/g, " ").slice(0, 40)}`;
  const shown = (element) => element.checkVisibility({ visibilityProperty: true, opacityProperty: true });
  const offstage = (element) => element.closest(".skip-link, .visually-hidden");

  // 1.3.1, 2.4.6: one first heading, and no level skipped below it.
  const levels = [...document.querySelectorAll("h1, h2, h3, h4, h5, h6")].filter(shown).map((h) => Number(h.tagName[1]));
  if (levels.filter((level) => level === 1).length !== 1) faults.push(`1.3.1 first headings: ${levels}`);
  levels.forEach((level, index) => {
    if (level > (index ? levels[index - 1] : 0) + 1) faults.push(`1.3.1 heading levels: ${levels}`);
  });
  if (document.querySelectorAll("main").length !== 1) faults.push("1.3.1 not one main part");

  // 2.4.2: a title. 4.1.1: an id is one element's own.
  if (!document.title.trim()) faults.push("2.4.2 no title");
  const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
  for (const id of new Set(ids)) if (ids.filter((other) => other === id).length > 1) faults.push(`4.1.1 id twice: ${id}`);

  // 1.1.1, 3.3.2, 4.1.2: pictures, fields and controls have names.
  for (const image of document.querySelectorAll("img:not([alt])")) faults.push(`1.1.1 no alt: ${image.src}`);
  for (const image of document.querySelectorAll("svg[role=img]:not([aria-label], [aria-labelledby])")) faults.push("1.1.1 no name: svg");
  for (const field of document.querySelectorAll("input:not([type=hidden]), select, textarea")) {
    if (!field.labels.length && !field.getAttribute("aria-label")) faults.push(`3.3.2 no label: ${field.name}`);
  }
  for (const control of document.querySelectorAll("a, button, summary")) {
    if (!control.textContent.trim() && !control.getAttribute("aria-label")) faults.push(`4.1.2 no name: ${control.outerHTML.slice(0, 60)}`);
  }
  for (const box of document.querySelectorAll("[aria-labelledby]")) {
    for (const id of box.getAttribute("aria-labelledby").split(" ")) {
      if (!document.getElementById(id)?.textContent.trim()) faults.push(`4.1.2 labelled by nothing: ${id}`);
    }
  }

  // 1.4.10: nothing is wider than the screen.
  const { scrollWidth, clientWidth } = document.documentElement;
  if (scrollWidth > clientWidth) faults.push(`1.4.10 ${scrollWidth} px wide on ${clientWidth}`);

  // 2.5.8: targets are 24 px at least; links within a sentence are excepted.
  for (const target of document.querySelectorAll("a, button, summary, input:not([type=hidden])")) {
    if (!shown(target) || offstage(target)) continue;
    const { width, height } = (target.closest("label") ?? target).getBoundingClientRect();
    if (Math.min(width, height) < 24) faults.push(`2.5.8 ${Math.round(width)}×${Math.round(height)}: ${name(target)}`);
  }

  // 1.4.3: contrast of every text against the colours that lie under it.
  const channels = (colour) => {
    const [r, g, b, a = 1] = colour.match(/[\d.]+/g).map(Number);
    return { r, g, b, a };
  };
  const over = (top, under) => {
    const mix = (channel) => top[channel] * top.a + under[channel] * (1 - top.a);
    return { r: mix("r"), g: mix("g"), b: mix("b"), a: 1 };
  };
  const luminance = ({ r, g, b }) => {
    const [x, y, z] = [r, g, b].map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const ground = (element) => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) layers.push(channels(getComputedStyle(at).backgroundColor));
    return layers.reverse().reduce((under, top) => over(top, under), { r: 255, g: 255, b: 255, a: 1 });
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const japanese = /[\u3040-\u30ff\u3400-\u9fff]/;
  const sentence = /[A-Za-z]+[ ,]+[a-z]+[ ,]+[a-z]+[ ,]+[a-z]+/;
  while (texts.nextNode()) {
    const text = texts.currentNode.data.trim();
    const element = texts.currentNode.parentElement;
    if (!text || !shown(element) || element.closest("script, style, svg, .visually-hidden, .skip-link")) continue;
    const style = getComputedStyle(element);
    const under = ground(element);
    const [darker, lighter] = [luminance(over(channels(style.color), under)), luminance(under)].sort((a, b) => a - b);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const ratio = (lighter + 0.05) / (darker + 0.05);
    if (ratio < (large ? 3 : 4.5)) faults.push(`1.4.3 contrast ${ratio.toFixed(1)}: ${text.slice(0, 40)}`);

    // 3.1.1, 3.1.2: what is in another language says so.
    const language = element.closest("[lang]").lang;
    if (language !== "ja" && japanese.test(text)) faults.push(`3.1.2 Japanese, not marked: ${text.slice(0, 60)}`);
    if (language === "ja" && sentence.test(text)) faults.push(`3.1.2 English, not marked: ${text.slice(0, 60)}`);
  }
  return faults;
}
