// Draws the report from the JSON in #data.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const colors = ["#2f6fde", "#e07a2f", "#2f9e6e", "#b0479b", "#8a6d3b", "#5b6b7f"];
  const element = (tag, attributes = {}, ...children) => {
    const e = Object.assign(document.createElement(tag), attributes);
    e.append(...children);
    return e;
  };
  const percent = (v) => (100 * v).toFixed(2) + " %";
  const short = (v) => Number(v).toPrecision(4).replace(/\.?0+$/, "");

  document.getElementById("summary").textContent = data.summary;
  document.getElementById("config").textContent = data.config;
  const figures = document.getElementById("figures");
  for (const [value, label] of data.figures) {
    figures.append(element("div", { className: "figure" }, element("b", { textContent: value }), element("span", { textContent: label })));
  }

  const charts = document.getElementById("charts");
  function card(title) {
    const box = element("div", { className: "chart" });
    charts.append(element("div", { className: "card" }, element("h2", { textContent: title }), box));
    return box;
  }
  // series: [{label, points: [[x, y]]}]
  function lineChart(title, xLabel, yLabel, series, options = {}) {
    const drawn = series.filter((s) => s.points.length);
    if (!drawn.length || typeof Chart === "undefined") return;
    const canvas = element("canvas", { role: "img", ariaLabel: title });
    card(title).append(canvas);
    const axis = (text, extra) => ({
      title: { display: true, text, color: css("--soft") },
      ticks: { color: css("--soft"), maxTicksLimit: 8 }, grid: { color: css("--line") }, ...extra,
    });
    new Chart(canvas, {
      type: "line",
      data: { datasets: drawn.map((s, i) => ({
        label: s.label, data: s.points.map(([x, y]) => ({ x, y })), borderColor: colors[i % colors.length],
        backgroundColor: colors[i % colors.length], borderWidth: 2, pointRadius: s.points.length > 40 ? 0 : 3, tension: 0,
      })) },
      options: {
        animation: false, maintainAspectRatio: false, parsing: false, interaction: { mode: "nearest", intersect: false },
        plugins: { legend: { display: drawn.length > 1, labels: { color: css("--text"), boxWidth: 14 } } },
        scales: { x: axis(xLabel, { type: options.logX ? "logarithmic" : "linear" }), y: axis(yLabel, options.y || {}) },
      },
    });
  }

  const m = data.metrics;
  const column = (name) => m.map((row) => [row.epoch, row[name]]);
  if (m.length) {
    lineChart("Loss", "epoch", "cross-entropy", [{ label: "train", points: column("train_loss") }, { label: "test", points: column("test_loss") }]);
    lineChart("Accuracy", "epoch", "accuracy", [{ label: "train", points: column("train_accuracy") }, { label: "test", points: column("test_accuracy") }]);
    lineChart("Learning rate", "epoch", "learning rate", [{ label: "rate", points: column("learning_rate") }]);
    lineChart("Evaluations of the field", "epoch", "NFE per pass", [{ label: "forward", points: column("nfe_forward") }, { label: "backward", points: column("nfe_backward") }], { y: { beginAtZero: true } });
  }

  const evals = data.results.eval || [];
  const attacks = data.results.attack || [];
  const byMethod = {};
  for (const r of evals) {
    const match = /^(.*):(\d+)$/.exec(r.solver);
    if (match) (byMethod[match[1]] = byMethod[match[1]] || []).push([Number(match[2]), r.accuracy]);
  }
  const sweeps = Object.entries(byMethod).filter(([, p]) => p.length > 1);
  lineChart("Accuracy under other solvers", "steps", "accuracy",
    sweeps.map(([label, p]) => ({ label, points: p.sort((a, b) => a[0] - b[0]) })), { logX: true });

  const byEps = {};
  for (const r of attacks) {
    const match = /^([^,]+),(?:.*,)?eps=([^,]+)/.exec(r.attack);
    if (!match) continue;
    const [above, below] = match[2].split("/").map(Number);
    const label = match[1] + ", " + r.solver + (r.attack_solver === r.solver ? "" : " against " + r.attack_solver);
    (byEps[label] = byEps[label] || { clean: r.clean_accuracy, points: [] }).points.push([below ? above / below : above, r.accuracy]);
  }
  lineChart("Accuracy under attack", "eps", "accuracy",
    Object.entries(byEps).map(([label, v]) => ({ label, points: [[0, v.clean], ...v.points.sort((a, b) => a[0] - b[0])] })), { y: { beginAtZero: true } });

  if (data.plane) drawPlane(data.plane);

  const tables = document.getElementById("tables");
  function table(title, head, rows, words) {
    if (!rows.length) return;
    const cell = (tag) => (text, i) => element(tag, { textContent: text, className: i < words ? "word" : "" });
    tables.append(element("div", { className: "card" }, element("h2", { textContent: title }),
      element("div", { className: "scroll" }, element("table", {},
        element("thead", {}, element("tr", {}, ...head.map(cell("th")))),
        element("tbody", {}, ...rows.map((r) => element("tr", {}, ...r.map(cell("td")))))))));
  }
  table("Solvers", ["solver", "accuracy", "correct", "of", "loss", "NFE"],
    evals.map((r) => [r.solver, percent(r.accuracy), r.correct, r.examples, short(r.loss), short(r.nfe)]), 1);
  table("Attacks", ["attack", "solver", "attack solver", "gradient", "clean", "attacked", "of"],
    attacks.map((r) => [r.attack, r.solver, r.attack_solver, r.gradient, percent(r.clean_accuracy), percent(r.accuracy), r.examples]), 4);

  // ---- pictures: clean, perturbation, attacked ----
  const p = data.pictures;
  if (p) {
    const [h, w, channels] = p.shape;
    const picture = (values, caption) => {
      const canvas = element("canvas", { width: w, height: h });
      const context = canvas.getContext("2d");
      const image = context.createImageData(w, h);
      for (let i = 0; i < h * w; ++i) {
        for (let c = 0; c < 3; ++c) image.data[4 * i + c] = 255 * Math.min(1, Math.max(0, values[i * channels + (channels === 3 ? c : 0)]));
        image.data[4 * i + 3] = 255;
      }
      context.putImageData(image, 0, 0);
      return element("figure", {}, canvas, element("figcaption", { textContent: caption }));
    };
    const strip = element("div", { className: "strip" });
    for (const one of p.pictures) {
      const change = one.attacked.map((v, i) => v - one.clean[i]);
      const largest = Math.max(...change.map(Math.abs), 1e-12);
      strip.append(element("div", { className: "triple" }, picture(one.clean, "label " + one.label),
        picture(change.map((v) => 0.5 + 0.5 * v / largest), "change, scaled"), picture(one.attacked, "attacked")));
    }
    document.getElementById("pictures").append(element("div", { className: "card" },
      element("h2", { textContent: "Clean and attacked: " + p.attack }), strip));
  }

  // ---- points in the plane: decision, vector field, trajectories ----
  function drawPlane(plane) {
    const box = card("Decision, vector field and trajectories");
    box.style.height = "auto";
    const size = 640, r = plane.range, canvas = element("canvas", { width: size, height: size, className: "plane" });
    box.append(canvas);
    const g = canvas.getContext("2d");
    const px = ([x, y]) => [(x + r) / (2 * r) * size, (r - y) / (2 * r) * size];
    const n = plane.decision.length;
    plane.decision.forEach((row, i) => row.forEach((v, j) => {
      g.fillStyle = v > 0.5 ? `rgba(224,122,47,${0.10 + 0.35 * (v - 0.5)})` : `rgba(47,111,222,${0.10 + 0.35 * (0.5 - v)})`;
      g.fillRect(j * size / n, (n - 1 - i) * size / n, size / n + 1, size / n + 1);
    }));
    g.strokeStyle = css("--soft");
    const longest = Math.max(...plane.field.map(([, , u, v]) => Math.hypot(u, v)), 1e-12), unit = 0.9 * 2 * r / Math.sqrt(plane.field.length);
    for (const [x, y, u, v] of plane.field) {
      const s = unit / longest, [a, b] = px([x, y]), [c, d] = px([x + s * u, y + s * v]);
      g.globalAlpha = 0.6;
      g.beginPath(); g.moveTo(a, b); g.lineTo(c, d); g.stroke();
      g.beginPath(); g.arc(c, d, 1.5, 0, 7); g.stroke();
    }
    g.globalAlpha = 1;
    for (const t of plane.trajectories) {
      g.strokeStyle = t.label ? "#c2571a" : "#1d4fa8";
      g.beginPath();
      t.points.forEach((q, i) => { const [x, y] = px(q); i ? g.lineTo(x, y) : g.moveTo(x, y); });
      g.stroke();
    }
    for (const [x, y, label] of plane.points) {
      const [a, b] = px([x, y]);
      g.fillStyle = label ? "#e07a2f" : "#2f6fde";
      g.beginPath(); g.arc(a, b, 2.2, 0, 7); g.fill();
    }
  }
})();
