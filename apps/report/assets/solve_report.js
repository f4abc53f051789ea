// Draws the report of `slope solve` from the JSON in #data.
"use strict";
(() => {
  const { data, css, colors, element, card, table, axis } = report;
  const color = (i) => colors[i % colors.length];
  const shapes = ["circle", "rect", "triangle", "rectRot", "cross", "star"];

  // datasets: as Chart.js wants them; x, y: axes
  function chart(title, datasets, x, y, text) {
    if (typeof Chart === "undefined" || !datasets.some((d) => d.data.length)) return;
    const canvas = element("canvas", { role: "img", ariaLabel: title });
    const box = card(title);
    box.append(canvas);
    if (text) box.after(element("p", { className: "caption", textContent: text }));
    new Chart(canvas, {
      type: "line",
      data: { datasets },
      options: {
        animation: false, maintainAspectRatio: false, parsing: false, interaction: { mode: "nearest", intersect: false },
        plugins: { legend: { display: datasets.length > 1, labels: { color: css("--text"), boxWidth: 8, boxHeight: 8, usePointStyle: true } } },
        scales: { x, y },
      },
    });
  }
  const points = (pairs) => pairs.map(([x, y]) => ({ x, y }));
  const power = (v) => { const e = Math.log10(v); return Math.abs(e - Math.round(e)) < 1e-9 ? "1e" + Math.round(e) : ""; };
  const logarithmic = (text) => axis(text, { type: "logarithmic", ticks: { callback: power } });
  // Counts span a decade or two: 1, 2, 5, 10, ..
  const counts = (text) => axis(text, { type: "logarithmic", ticks: { callback: (v) => [1, 2, 5].includes(Number(v.toExponential()[0])) && /^.e/.test(v.toExponential()) ? String(v) : "", maxTicksLimit: 20 } });
  const time = data.long ? logarithmic("t") : axis("t", { type: "linear" });

  // ---- the solution: lines the truth, marks where a solver has stepped ----
  if (data.components) {
    const lines = data.components.map((name, i) => ({
      label: name, data: points(data.truth.map((row) => [row[0], row[i + 1]])), borderColor: color(i), backgroundColor: color(i),
      borderWidth: 2, pointRadius: 0, pointStyle: "line", tension: 0,
    }));
    const marks = data.paths.flatMap((path, s) => data.components.map((name, i) => ({
      label: path.solver + (data.components.length > 1 ? ", " + name : ""), data: points(path.points.map((row) => [row[0], row[i + 1]])),
      borderColor: color(i), backgroundColor: color(i), showLine: false, pointStyle: shapes[s % shapes.length], pointRadius: 2.5,
    })));
    const where = data.truth_source ? "Lines: the solution, by " + data.truth_source + ". Marks: the ends of the steps." : "Lines: the finest of the solvers. Marks: the ends of the steps.";
    chart("Solution", lines.concat(marks), time, axis("y", { type: "linear" }), where);
  }

  chart("Step sizes", data.steps.map((s, i) => ({
    label: s.solver, data: points(s.points), borderColor: color(i), backgroundColor: color(i), borderWidth: 1.5, pointRadius: s.points.length > 60 ? 0 : 2.5, pointStyle: shapes[i % shapes.length], stepped: "after",
  })), time, logarithmic("h"));

  chart("Work and precision", data.precision.map((s, i) => ({
    label: s.method, data: points(s.points), borderColor: color(i), backgroundColor: color(i), borderWidth: 2, pointRadius: 4, pointStyle: shapes[i % shapes.length], tension: 0,
  })), counts("evaluations of the field"), logarithmic(data.problems > 1 ? "error, geometric mean" : "largest error"),
  "Lower and further left is better. The slope is the order of the method, until rounding stops it.");

  // ---- where |R(z)| <= 1 ----
  if (data.regions.length) {
    // |R(z)|^2 by Horner's rule; R = numerator / denominator.
    const size2 = (c, x, y) => {
      let re = 0, im = 0;
      for (let n = c.length - 1; n >= 0; --n) [re, im] = [re * x - im * y + c[n], re * y + im * x];
      return re * re + im * im;
    };
    const inside = (r, x, y) => size2(r.numerator, x, y) <= size2(r.denominator, x, y);
    // How far to look: methods without an end to their region must not make the others small.
    const left = Math.max(...data.regions.map((r) => r.left));
    let height = Math.min(1.6 * left, 6);
    const reaches = (y) => data.regions.some((r) => [...Array(60).keys()].some((i) => inside(r, -left * i / 59, y)));
    while (height > 1 && !reaches(height)) height -= left / 50;
    const width = 760, x0 = -1.15 * left, x1 = (left < 8 ? 0.3 : 0.8) * left, y1 = 1.1 * height;
    const scale = width / (x1 - x0), rows = Math.round(2 * y1 * scale);
    const box = card("Stability regions");
    box.style.height = "auto";
    const canvas = element("canvas", { width, height: rows, className: "plane region", role: "img", ariaLabel: "Stability regions" });
    const legend = element("p", { className: "legend" });
    data.regions.forEach((r, i) => {
      const mark = element("span", { className: "mark" });
      mark.style.background = color(i);
      legend.append(mark, r.method + "  ");
    });
    box.append(legend, canvas, element("p", { textContent: "Inside a line, y' = λy with Re λ < 0 does not grow: z = h λ, |R(z)| ≤ 1. Grid lines: one unit." }));
    const g = canvas.getContext("2d");
    const px = (x, y) => [(x - x0) * scale, (y1 - y) * scale];
    g.strokeStyle = css("--line");
    const line = (a, b) => { g.beginPath(); g.moveTo(...a); g.lineTo(...b); g.stroke(); };
    const unit = Math.max(1, Math.round((x1 - x0) / 12));
    for (let x = Math.ceil(x0 / unit) * unit; x <= x1; x += unit) line(px(x, -y1), px(x, y1));
    for (let y = Math.ceil(-y1 / unit) * unit; y <= y1; y += unit) line(px(x0, y), px(x1, y));
    g.strokeStyle = css("--soft");
    line(px(x0, 0), px(x1, 0));
    line(px(0, -y1), px(0, y1));
    data.regions.forEach((r, i) => {
      const stable = [];
      for (let v = 0; v < rows; ++v) {
        const row = new Uint8Array(width);
        for (let u = 0; u < width; ++u) {
          row[u] = inside(r, x0 + (u + 0.5) / scale, y1 - (v + 0.5) / scale) ? 1 : 0;
        }
        stable.push(row);
      }
      const paint = (alpha, chosen) => {
        g.globalAlpha = alpha;
        g.fillStyle = color(i);
        for (let v = 0; v < rows; ++v) for (let u = 0; u < width; ++u) if (chosen(v, u)) g.fillRect(u, v, 1, 1);
      };
      const edge = (v, u) => stable[v][u] && [[0, 1], [1, 0], [0, -1], [-1, 0], [1, 1], [-1, -1], [1, -1], [-1, 1]].some(([a, b]) => {
        const row = stable[v + a];
        return row && u + b >= 0 && u + b < width && !row[u + b];
      });
      paint(0.07, (v, u) => stable[v][u]);
      paint(1, edge);
      g.globalAlpha = 1;
    });
  }

  const many = data.problems > 1;
  table("Results", [...(many ? ["problem"] : []), "solver", "error", "NFE", "accepted", "rejected", "status"],
    data.results.map((r) => [...(many ? [r.problem] : []), r.solver, r.error === null ? "" : Number(r.error).toExponential(3), r.nfe, r.accepted, r.rejected, r.status.replaceAll("_", " ")]), many ? 2 : 1);
})();
