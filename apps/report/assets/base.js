// What every report is drawn with: the data, elements, cards, tables.
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

  document.getElementById("summary").textContent = data.summary;
  document.getElementById("config").textContent = data.config;
  const figures = document.getElementById("figures");
  for (const [value, label] of data.figures) {
    figures.append(element("div", { className: "figure" }, element("b", { textContent: value }), element("span", { textContent: label })));
  }

  // A card with room for a chart.
  function card(title, section = document.getElementById("charts")) {
    const box = element("div", { className: "chart" });
    section.append(element("div", { className: "card" }, element("h2", { textContent: title }), box));
    return box;
  }
  // The first `words` columns are text, the others numbers.
  function table(title, head, rows, words) {
    if (!rows.length) return;
    const cell = (tag) => (text, i) => element(tag, { textContent: text, className: i < words ? "word" : "" });
    document.getElementById("tables").append(element("div", { className: "card" }, element("h2", { textContent: title }),
      element("div", { className: "scroll" }, element("table", {},
        element("thead", {}, element("tr", {}, ...head.map(cell("th")))),
        element("tbody", {}, ...rows.map((r) => element("tr", {}, ...r.map(cell("td")))))))));
  }
  // One axis of a chart.
  const axis = (text, { ticks, ...extra } = {}) => ({
    title: { display: true, text, color: css("--soft") },
    ticks: { color: css("--soft"), maxTicksLimit: 8, ...ticks }, grid: { color: css("--line") }, ...extra,
  });
  return { data, css, colors, element, short, card, table, axis };
})();
