// Draws the report of `slope reproduce` from the JSON in #data: charts, then the table.
"use strict";
(() => {
  const { data, css, colors, element, card, table, axis } = report;
  const points = (pairs) => pairs.map(([x, y]) => ({ x, y }));

  // Measured: a line through the means, small marks for the seeds. Published: dashed, hollow.
  for (const chart of data.charts) {
    if (typeof Chart === "undefined") break;
    const datasets = chart.series.flatMap((s, i) => {
      const color = colors[i % colors.length], common = { borderColor: color, tension: 0, borderWidth: 2 };
      return [
        { ...common, label: s.name, data: points(s.measured), backgroundColor: color, pointRadius: 3 },
        { ...common, label: s.name + ", one seed", data: points(s.seeds), backgroundColor: color, pointRadius: 1.5, showLine: false },
        { ...common, label: s.name + ", published", data: points(s.published), backgroundColor: "transparent", borderDash: [5, 4], pointRadius: 4, pointStyle: "rectRot" },
      ].filter((d) => d.data.length);
    });
    if (!datasets.length) continue;
    const canvas = element("canvas", { role: "img", ariaLabel: chart.title });
    const box = card(chart.title);
    box.append(canvas);
    if (chart.caption) box.after(element("p", { className: "caption", textContent: chart.caption }));
    const power = (v) => Math.abs(Math.log2(v) - Math.round(Math.log2(v))) < 1e-9 ? String(v) : "";
    new Chart(canvas, {
      type: "line",
      data: { datasets },
      options: {
        animation: false, maintainAspectRatio: false, parsing: false, interaction: { mode: "nearest", intersect: false },
        plugins: { legend: { labels: { color: css("--text"), boxWidth: 8, boxHeight: 8, usePointStyle: true, filter: (item) => !item.text.endsWith(", one seed") } } },
        scales: {
          x: axis(chart.x, chart.logarithmic ? { type: "logarithmic", ticks: { callback: power, maxTicksLimit: 20 } } : { type: "linear" }),
          y: axis(chart.y, { type: "linear" }),
        },
      },
    });
  }

  const text = (v, unit) => v === null || v === undefined ? "-" : unit === "share" ? (100 * v).toFixed(2) + " %" : unit === "seconds" ? v.toFixed(1) + " s" : String(Number(v.toPrecision(4)));
  table("Published and measured", ["", "published", "measured", "\u00b1", "n", "of", "note"],
    data.rows.map((r) => [r.what, text(r.published, r.unit), text(r.measured, r.unit), r.stderr === null ? "" : text(r.stderr, r.unit), r.n || "",
      [r.of, r.examples ? r.examples + " test samples" : ""].filter(Boolean).join(", "), r.note]), 1);
  const tables = document.getElementById("tables");
  const note = (text) => tables.append(element("p", { className: "caption", textContent: text }));
  note("\u00b1: standard error of the mean over the seeds, s / \u221an with n - 1 under the root of s.");
  if (data.note) note(data.note);
  if (data.changes.length) {
    tables.append(element("div", { className: "card" }, element("h2", { textContent: "Other than published" }),
      element("ul", {}, ...data.changes.map((c) => element("li", { textContent: c })))));
  }
  tables.append(element("div", { className: "card" }, element("h2", { textContent: "Runs" }),
    element("ul", {}, ...data.runs.map((run) => element("li", {}, element("a", { href: run + "/report.html", textContent: run }))))));
})();
