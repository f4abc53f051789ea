// What every report is drawn with: the data, elements, cards, tables, pictures.
"use strict";
const report = (() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const colors = ["#2f6fde", "#e07a2f", "#2f9e6e", "#b0479b", "#8a6d3b", "#5b6b7f"];
  const element = (tag, attributes = {}, ...children) => {
    const e = Object.assign(document.createElement(tag), attributes);
    e.append(...children);
    return e;
  };
  const short = (v) => String(Number(Number(v).toPrecision(4)));
  const percent = (v) => (100 * v).toFixed(2) + " %";

  document.getElementById("summary").textContent = data.summary;
  document.getElementById("config").textContent = data.config;
  if (data.notice) document.getElementById("figures").before(element("p", { className: "notice", textContent: data.notice }));
  for (const [value, label] of data.figures) {
    document.getElementById("figures").append(element("div", { className: "figure" }, element("b", { textContent: value }), element("span", { textContent: label })));
  }

  // A card in a section: a title, a sentence for who has never seen such a picture, and what it shows.
  const framed = (section, title, text, ...content) => {
    const lead = text ? [element("p", { className: "lead", textContent: text })] : [];
    document.getElementById(section).append(element("div", { className: "card" }, element("h2", { textContent: title }), ...lead, ...content));
  };
  // One with room for a chart, which is returned.
  function card(title, text = "", section = "charts") {
    const box = element("div", { className: "chart" });
    framed(section, title, text, box);
    return box;
  }
  // The first `words` columns are text, the others numbers.
  function table(title, head, rows, words, text = "", section = "tables") {
    if (!rows.length) return;
    const cell = (tag) => (content, i) => element(tag, { textContent: content, className: i < words ? "word" : "" });
    framed(section, title, text, element("div", { className: "scroll" }, element("table", {},
      element("thead", {}, element("tr", {}, ...head.map(cell("th")))),
      element("tbody", {}, ...rows.map((r) => element("tr", {}, ...r.map(cell("td"))))))));
  }
  // values: (h, w, channels), from 0 to 1; one channel is grey, three are a colour.
  function picture([h, w, channels], values, caption) {
    const canvas = element("canvas", { width: w, height: h, role: "img", ariaLabel: caption });
    const context = canvas.getContext("2d"), image = context.createImageData(w, h);
    for (let i = 0; i < h * w; ++i) {
      for (let c = 0; c < 3; ++c) image.data[4 * i + c] = 255 * Math.min(1, Math.max(0, values[i * channels + (channels === 3 ? c : 0)]));
      image.data[4 * i + 3] = 255;
    }
    context.putImageData(image, 0, 0);
    return element("figure", {}, canvas, element("figcaption", { textContent: caption }));
  }
  // One axis of a chart.
  const axis = (text, { ticks, ...extra } = {}) => ({
    title: { display: true, text, color: css("--soft") },
    ticks: { color: css("--soft"), maxTicksLimit: 8, ...ticks }, grid: { color: css("--line") }, ...extra,
  });
  // As many digits as tell the ticks of an axis apart, whatever its range.
  const digits = (ticks) => [0, 1, 2, 3, 4, 5].find((d) => ticks.every(({ value: v }) => Math.abs(100 * v - (100 * v).toFixed(d)) < 1e-7)) ?? 6;
  const asPercent = { ticks: { callback: (v, i, ticks) => (100 * v).toFixed(digits(ticks)) + " %" } };
  return { data, css, colors, element, short, percent, framed, card, table, picture, axis, asPercent };
})();
