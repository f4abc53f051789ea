// Draws the report of a run from the JSON in #data.
"use strict";
(() => {
  const { data, css, colors, element, short, card, table, axis } = report;
  const percent = (v) => (100 * v).toFixed(2) + " %";
  const constant = (points) => points.every(([, y]) => y === points[0][1]);
  // As many digits as tell the ticks of an axis apart, whatever its range.
  const digits = (ticks) => [0, 1, 2, 3, 4, 5].find((d) => ticks.every(({ value: v }) => Math.abs(100 * v - (100 * v).toFixed(d)) < 1e-7)) ?? 6;
  const asPercent = { ticks: { callback: (v, i, ticks) => (100 * v).toFixed(digits(ticks)) + " %" } };

  // series: [{label, points: [[x, y, name of the point if it has one]]}]
  function lineChart(title, xLabel, yLabel, series, options = {}) {
    const drawn = series.filter((s) => s.points.length);
    if (!drawn.length || typeof Chart === "undefined") return;
    const canvas = element("canvas", { role: "img", ariaLabel: title });
    card(title).append(canvas);
    // Counts are powers of two more often than of ten.
    const counted = drawn.flatMap((s) => s.points.map(([x]) => x)), least = Math.min(...counted), largest = Math.max(...counted);
    const room = least === largest ? 2 : 1.1;
    const counts = { type: "logarithmic", min: least / room, max: largest * room, ticks: { callback: (v) => String(v), maxRotation: 0 },
      afterBuildTicks: (scale) => { scale.ticks = Array.from({ length: 31 }, (_, i) => ({ value: 2 ** i })).filter(({ value: v }) => v >= scale.min && v <= scale.max); } };
    const epochs = { type: "linear", ticks: { precision: 0 } };
    new Chart(canvas, {
      type: "line",
      data: { datasets: drawn.map((s, i) => ({
        label: s.label, data: s.points.map(([x, y, name]) => ({ x, y, name })), borderColor: colors[i % colors.length],
        backgroundColor: colors[i % colors.length], borderWidth: 2, clip: false, tension: 0,
        pointRadius: s.points.length > 40 ? 0 : s.points.length > 1 ? 3 : 5,
      })) },
      options: {
        animation: false, maintainAspectRatio: false, parsing: false, interaction: { mode: "nearest", intersect: false },
        plugins: {
          tooltip: { callbacks: { label: ({ raw, dataset, formattedValue }) => (raw.name || dataset.label) + ": " + formattedValue } },
          legend: { display: drawn.length > 1, labels: { color: css("--text"), boxWidth: 14 } },
        },
        scales: { x: axis(xLabel, options.counts ? counts : xLabel === "epoch" ? epochs : { type: "linear" }), y: axis(yLabel, options.y) },
      },
    });
  }

  const m = data.metrics;
  const column = (name) => m.map((row) => [row.epoch, row[name]]);
  const heldOut = (what) => m[0]["validation_" + what] === undefined ? [] : [{ label: "validation", points: column("validation_" + what) }];
  if (m.length) {
    lineChart("Loss", "epoch", "cross-entropy", [{ label: "train", points: column("train_loss") }, { label: "test", points: column("test_loss") }, ...heldOut("loss")]);
    lineChart("Accuracy", "epoch", "accuracy", [{ label: "train", points: column("train_accuracy") }, { label: "test", points: column("test_accuracy") }, ...heldOut("accuracy")], { y: asPercent });
    if (m[0].pgd_accuracy !== undefined) lineChart("Training samples under attack", "epoch", "accuracy", [{ label: "the training's attack", points: column("attack_accuracy") }, { label: "PGD, 10 steps", points: column("pgd_accuracy") }], { y: { beginAtZero: true, ...asPercent } });
    if (m[0].penalty !== undefined) lineChart("Regularisers", "epoch", "sum of the terms in their weights", [{ label: "penalty", points: column("penalty") }], { y: { beginAtZero: true } });
    // What never changes is a figure, not a curve.
    const rate = column("learning_rate"), forward = column("nfe_forward"), backward = column("nfe_backward");
    if (m.length > 2 && !constant(rate)) lineChart("Learning rate", "epoch", "learning rate", [{ label: "rate", points: rate }]);
    if (!constant(forward)) lineChart("Evaluations of the field", "epoch", "NFE per pass", [{ label: "forward", points: forward }, { label: "backward", points: backward }], { y: { beginAtZero: true } });
  }

  const evals = data.results.eval || [];
  const attacks = data.results.attack || [];
  // Accuracies over other data, in another dtype or over fewer samples do not belong on one curve.
  const comparable = (results) => {
    const own = results.filter((r) => r.data === data.data && r.dtype === data.dtype), most = Math.max(...own.map((r) => r.examples));
    return own.filter((r) => r.examples === most);
  };
  // By what a pass costs: so every solver has its place, fixed steps or not, and methods can be compared.
  const byMethod = {};
  for (const r of comparable(evals)) {
    const method = (r.regime && r.regime !== "standalone" ? r.regime + " " : "") + r.solver.split(/[:@~]/)[0] + (r.solver.includes("@") ? "@" : "");
    if (r.nfe > 0) (byMethod[method] = byMethod[method] || []).push([r.nfe, r.accuracy, r.solver]);
  }
  const solvers = Object.entries(byMethod).map(([label, p]) => ({ label, points: p.sort((a, b) => a[0] - b[0]) }));
  if (solvers.flatMap((s) => s.points).length > 1)
    lineChart("Accuracy under other solvers", "evaluations of the field per pass (NFE)", "accuracy", solvers, { counts: true, y: asPercent });

  const byEps = {};
  for (const r of comparable(attacks)) {
    const match = /^([^,]+),(?:.*,)?eps=([^,]+)/.exec(r.attack);
    if (!match) continue;
    const [above, below] = match[2].split("/").map(Number);
    const label = r.attack.replace(/,eps=[^,]+/, "") + ", " + r.solver + (!r.regime || r.regime === "standalone" ? "" : " " + r.regime) + (r.attack_solver === r.solver ? "" : " through " + r.attack_solver);
    (byEps[label] = byEps[label] || { clean: r.clean_accuracy, points: [] }).points.push([below ? above / below : above, r.accuracy]);
  }
  // Of many lines only those with several sizes; the matrices and the table have the others.
  const sized = Object.entries(byEps), curves = sized.length > 8 ? sized.filter(([, v]) => v.points.length > 1) : sized;
  lineChart("Accuracy under attack", "size of the attack (eps)", "accuracy",
    curves.map(([label, v]) => ({ label, points: [[0, v.clean], ...v.points.sort((a, b) => a[0] - b[0])] })), { y: { beginAtZero: true, ...asPercent } });

  // One map for each attack (noise asks no solver): defended solvers down, the attack's solvers across, the lowest of a row framed.
  const byAttack = {};
  for (const r of comparable(attacks)) if (!/^(noise|uniform|salt-pepper)/.test(r.attack)) (byAttack[r.attack] = byAttack[r.attack] || []).push(r);
  const side = (solver, regime) => solver + (!regime || regime === "standalone" ? "" : " (" + regime + ")");
  for (const [attack, list] of Object.entries(byAttack)) {
    const across = [...new Set(list.map((r) => side(r.attack_solver, r.attack_regime)))], down = [...new Set(list.map((r) => side(r.solver, r.regime)))];
    if (across.length < 2) continue;
    const at = (d, a) => list.find((r) => side(r.solver, r.regime) === d && side(r.attack_solver, r.attack_regime) === a);
    const box = card("Solver matrix: " + attack);
    box.style.height = "auto";
    const rows = down.map((d) => {
      const lowest = Math.min(...list.filter((r) => side(r.solver, r.regime) === d).map((r) => r.accuracy));
      return element("tr", {}, element("td", { textContent: d, className: "word" }), ...across.map((a) => {
        const r = at(d, a), cell = element("td", { textContent: r ? percent(r.accuracy) : "" });
        if (!r) return cell;
        cell.style.background = "color-mix(in srgb, " + colors[0] + " " + Math.round(70 * r.accuracy) + "%, transparent)";
        if (r.accuracy === lowest) Object.assign(cell.style, { outline: "2px solid " + colors[1], outlineOffset: "-2px" });
        cell.title = d + " attacked through " + a;
        return cell;
      }));
    });
    box.append(element("div", { className: "scroll" }, element("table", {},
      element("thead", {}, element("tr", {}, element("th", { textContent: "solver", className: "word" }), ...across.map((a) => element("th", { textContent: "through " + a })))),
      element("tbody", {}, ...rows))), element("p", { textContent: "Accuracy under attack; a row's lowest is framed." }));
  }

  if (data.plane) drawPlane(data.plane);

  // What a result was measured on, where it is not what the run was trained on.
  const other = (r) => [r.data === data.data ? "" : ", " + r.data, r.dtype === data.dtype ? "" : ", " + r.dtype].join("");
  table("Solvers", ["solver", "accuracy", "correct", "of", "loss", "NFE"],
    evals.map((r) => [r.solver + (!r.regime || r.regime === "standalone" ? "" : ", " + r.regime) + other(r), percent(r.accuracy), r.correct, r.examples, r.loss === null ? "not finite" : short(r.loss), short(r.nfe)]), 1);
  table("Attacks", ["attack", "solver", "attack solver", "gradient", "clean", "attacked", "of"],
    attacks.map((r) => [r.attack + other(r), r.solver, r.attack_solver, r.gradient, percent(r.clean_accuracy), percent(r.accuracy), r.examples]), 4);

  // values: (h, w, channels), from 0 to 1.
  function picture([h, w, channels], values, caption) {
    const canvas = element("canvas", { width: w, height: h });
    const context = canvas.getContext("2d"), image = context.createImageData(w, h);
    for (let i = 0; i < h * w; ++i) {
      for (let c = 0; c < 3; ++c) image.data[4 * i + c] = 255 * Math.min(1, Math.max(0, values[i * channels + (channels === 3 ? c : 0)]));
      image.data[4 * i + 3] = 255;
    }
    context.putImageData(image, 0, 0);
    return element("figure", {}, canvas, element("figcaption", { textContent: caption }));
  }
  const pictures = (title, ...content) => document.getElementById("pictures").append(
    element("div", { className: "card" }, element("h2", { textContent: title }), ...content));

  // ---- mistakes: what is taken for what, and the pictures it is most wrongly sure of ----
  if (data.mistakes) {
    const { classes, confusion, shape, wrong } = data.mistakes;
    const most = Math.max(1, ...confusion.flatMap((row, i) => row.filter((_, j) => j !== i)));
    const cell = (n, i, j) => element("td", { textContent: n || "", className: i === j ? "right" : "",
      title: `${n} of class ${classes[i]} decided ${classes[j]}`,
      style: i === j || !n ? "" : `background: rgba(224, 122, 47, ${0.15 + 0.75 * n / most})` });
    pictures("What is taken for what", element("div", { className: "scroll" }, element("table", { className: "confusion" },
      element("thead", {}, element("tr", {}, element("th", { textContent: "class \\ decided" }), ...classes.map((c) => element("th", { textContent: c })), element("th", { textContent: "right" }))),
      element("tbody", {}, ...confusion.map((row, i) => {
        const all = row.reduce((a, b) => a + b, 0);
        return element("tr", {}, element("th", { textContent: classes[i] }), ...row.map((n, j) => cell(n, i, j)),
          element("td", { textContent: all ? percent(row[i] / all) : "" }));
      })))), element("p", { className: "caption", textContent: "Test samples: a row for each class, a column for each decision. Off the diagonal, in colour, are the mistakes." }));
    if (wrong.length) {
      pictures("Most wrong", element("div", { className: "wrong" }, ...wrong.map((one) =>
        picture(shape, one.pixels.map((v) => v / 255), `${classes[one.label]}, decided ${classes[one.decided]}, ${(100 * one.probability).toFixed(1)} %`))),
        element("p", { className: "caption", textContent: "Test pictures with a wrong decision, those it was surest of first: the class, the decision, and how sure it was." }));
    }
  }

  // ---- pictures: clean, perturbation, attacked ----
  const p = data.pictures;
  if (p) {
    const strip = element("div", { className: "strip" });
    for (const one of p.pictures) {
      const change = one.attacked.map((v, i) => v - one.clean[i]);
      // The change is drawn around grey, its largest value as black or white.
      const largest = Math.max(...change.map(Math.abs), 1e-12);
      strip.append(element("div", { className: "triple" }, picture(p.shape, one.clean, "label " + one.label),
        picture(p.shape, change.map((v) => 0.5 + 0.5 * v / largest), "change"), picture(p.shape, one.attacked, "attacked")));
    }
    pictures("Clean and attacked: " + p.attack, strip);
  }

  // ---- points in the plane: what is decided where, and how points move ----
  function drawPlane(plane) {
    const size = 720, r = plane.range, orange = [224, 122, 47], blue = [47, 111, 222];
    const px = ([x, y]) => [(x + r) / (2 * r) * size, (r - y) / (2 * r) * size];
    function panel(title, text) {
      const box = card(title, document.getElementById("planes")), canvas = element("canvas", { width: size, height: size, className: "plane", role: "img", ariaLabel: title });
      box.style.height = "auto";
      box.append(canvas, element("p", { textContent: text }));
      return canvas.getContext("2d");
    }
    const dots = (g, points, radius) => {
      for (const [x, y, label] of points) {
        g.fillStyle = `rgb(${label ? orange : blue})`;
        g.beginPath(); g.arc(...px([x, y]), radius, 0, 7); g.fill();
      }
    };
    const line = (g, points) => {
      g.beginPath();
      points.forEach((q, i) => i ? g.lineTo(...px(q)) : g.moveTo(...px(q)));
      g.stroke();
    };

    let g = panel("What it decides", "Colour: the class it decides for, the paler the less sure. Dots: test points in the colour of their own class.");
    // One pixel per cell, then enlarged smoothly.
    const n = plane.decision.length, small = element("canvas", { width: n, height: n }), image = new ImageData(n, n);
    plane.decision.forEach((row, i) => row.forEach((v, j) => {
      const at = 4 * ((n - 1 - i) * n + j);
      image.data.set([...(v > 0.5 ? orange : blue), 255 * (0.06 + 0.8 * Math.abs(v - 0.5))], at);
    }));
    small.getContext("2d").putImageData(image, 0, 0);
    g.drawImage(small, 0, 0, size, size);
    dots(g, plane.points, 3.2);

    g = panel("How points move", "Arrows: the field at t = 0. Solid: some test points on the way the solver takes, from the dot on. Dashed: the same by 64 small steps of rk4, the flow itself.");
    g.strokeStyle = g.fillStyle = css("--soft");
    const longest = Math.max(...plane.field.map(([, , u, v]) => Math.hypot(u, v)), 1e-12), unit = 0.95 * 2 * r / Math.sqrt(plane.field.length);
    g.globalAlpha = 0.55;
    for (const [x, y, u, v] of plane.field) {
      // Length by the square root of the speed, so that slow places still show their direction.
      const speed = Math.hypot(u, v), s = speed ? unit / Math.sqrt(longest * speed) : 0;
      const [a, b] = px([x - s * u / 2, y - s * v / 2]), [c, d] = px([x + s * u / 2, y + s * v / 2]);
      g.beginPath(); g.moveTo(a, b); g.lineTo(c, d); g.stroke();
      const angle = Math.atan2(d - b, c - a), head = 5;
      g.beginPath(); g.moveTo(c, d);
      for (const turn of [2.6, -2.6]) g.lineTo(c + head * Math.cos(angle + turn), d + head * Math.sin(angle + turn));
      g.fill();
    }
    g.globalAlpha = 1;
    g.lineWidth = 1.6;
    for (const t of plane.trajectories) {
      g.strokeStyle = `rgb(${t.label ? orange : blue})`;
      g.setLineDash([2, 5]);
      line(g, t.flow);
      g.setLineDash([]);
      line(g, t.points);
    }
    dots(g, plane.trajectories.map((t) => [...t.points[0], t.label]), 4.5);
  }
})();
