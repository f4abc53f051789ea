// Points in the plane: what the network decides where, and how points move through its field.
"use strict";
(() => {
  const { data: { plane }, css, colors, element, card } = report;
  if (!plane) return;
  const size = 720;
  const color = (k) => colors[k % colors.length];
  const rgb = (k) => [1, 3, 5].map((at) => parseInt(color(k).slice(at, at + 2), 16));
  const names = plane.classes.map((name) => /^\d+$/.test(name) ? "class " + name : name);
  // From the plane to the canvas: a square from -r to r.
  const mapping = (r) => ([x, y]) => [(x + r) / (2 * r) * size, (r - y) / (2 * r) * size];

  function panel(title, text) {
    const box = card(title, text, "motion"), canvas = element("canvas", { width: size, height: size, className: "plane", role: "img", ariaLabel: title });
    const legend = element("p", { className: "legend" });
    names.forEach((name, k) => legend.append(element("span", { className: "mark", style: "background:" + color(k) }), name + "  "));
    Object.assign(box.style, { height: "auto", marginTop: 0 });
    box.append(legend, canvas);
    return { box, canvas, g: canvas.getContext("2d") };
  }
  // n x n cells, rows from the lowest y up, painted by paint(row, column) -> [r, g, b, alpha], one pixel each.
  function cells(n, paint) {
    const small = element("canvas", { width: n, height: n }), image = new ImageData(n, n);
    for (let i = 0; i < n; ++i) for (let j = 0; j < n; ++j) image.data.set(paint(i, j), 4 * ((n - 1 - i) * n + j));
    small.getContext("2d").putImageData(image, 0, 0);
    return small;
  }
  function dot(g, [x, y], k, radius) {
    g.fillStyle = color(k);
    g.strokeStyle = css("--card");
    g.lineWidth = 1;
    g.beginPath(); g.arc(x, y, radius, 0, 7); g.fill(); g.stroke();
  }
  function line(g, points) {
    g.beginPath();
    points.forEach((q, i) => i ? g.lineTo(...q) : g.moveTo(...q));
    g.stroke();
  }

  // The coordinates along two edges of the square from -r to r.
  function scale(g, r) {
    const rough = r / 4, ten = 10 ** Math.floor(Math.log10(rough)), unit = [1, 2, 5, 10].find((m) => m * ten >= rough) * ten;
    g.fillStyle = g.strokeStyle = css("--text");
    g.lineWidth = 1;
    g.font = "16px sans-serif";
    for (let k = Math.ceil(-r / unit); k <= r / unit; ++k) {
      const [at] = mapping(r)([k * unit, 0]), text = String(+(k * unit).toPrecision(3));
      if (at < 30 || at > size - 30) continue;  // the corner
      line(g, [[at, size], [at, size - 8]]);
      line(g, [[0, size - at], [8, size - at]]);
      g.textAlign = "center"; g.fillText(text, at, size - 14);
      g.textAlign = "left"; g.fillText(text, 12, size - at + 5);
    }
  }

  // ---- what it decides ----
  const map = panel("What it decides", "A point that starts here is decided as this colour, the paler the less sure. Dots: test points in the colour of their own class; one on the wrong colour is a mistake.");
  const guess = 1 / names.length;  // how sure one is who knows nothing
  map.g.drawImage(cells(plane.decided.length, (i, j) => [...rgb(plane.decided[i][j]), 255 * (0.06 + 0.42 * (plane.sure[i][j] - guess) / (1 - guess))]), 0, 0, size, size);
  for (const [x, y, label] of plane.points) dot(map.g, mapping(plane.range)([x, y]), label, 5);
  scale(map.g, plane.range);

  // ---- how points move ----
  const { solver, steps, t: times, moving, flows, flow_t: flowTimes, reach } = plane, px = mapping(reach);
  const how = steps === 1 ? `${solver} takes one step: every point goes to its end in one straight jump, whatever the field says on the way.`
    : `${solver} takes ${steps} steps: a mark on the line ends each${times.length <= steps ? " that is drawn, of many only some" : ""}.`;
  const outside = moving.filter(({ path }) => Math.max(...path.at(-1).map(Math.abs)) > reach).length;
  const leaving = outside ? ` ${outside} of the ${moving.length} points leave the picture.` : "";
  const stage = panel("How points move", `Test points on their way from t = 0 to 1. Arrows: the field that moves them. Solid lines: the way of the solver. ${how} Dashed, with a ring: the flow itself, nearly exact. ` +
    `The straight line${names.length > 2 ? "s" : ""}: at t = 1 the net decides by the side on which a point has come to lie.${leaving}`);
  const g = stage.g, mark = times.length > 20 ? 3 : 6, every = Math.ceil(moving.length / flows.length);

  // The sides of the head's lines, and the lines.
  const n = 360, { weight, bias } = plane.head;
  const side = (i, j) => {
    const x = reach * ((2 * j + 1) / n - 1), y = reach * ((2 * i + 1) / n - 1), scores = weight.map(([a, b], k) => a * x + b * y + bias[k]);
    return scores.indexOf(Math.max(...scores));
  };
  const sides = Array.from({ length: n + 1 }, (_, i) => Array.from({ length: n + 1 }, (_, j) => side(i, j)));
  const ink = matchMedia("(prefers-color-scheme: dark)").matches ? [255, 255, 255, 230] : [20, 24, 32, 230];
  const ground = cells(n, (i, j) => sides[i][j] !== sides[i + 1][j] || sides[i][j] !== sides[i][j + 1] ? ink : [...rgb(sides[i][j]), 30]);

  function arrows(list) {
    g.strokeStyle = g.fillStyle = css("--soft");
    g.lineWidth = 1.2;
    g.globalAlpha = 0.55;
    const longest = Math.max(...list.map(([, , u, v]) => Math.hypot(u, v)), 1e-12), unit = 0.95 * 2 * reach / Math.sqrt(list.length);
    for (const [x, y, u, v] of list) {
      // Length by the square root of the speed, so that slow places still show their direction.
      const speed = Math.hypot(u, v), s = speed ? unit / Math.sqrt(longest * speed) : 0;
      const [a, b] = px([x - s * u / 2, y - s * v / 2]), [c, d] = px([x + s * u / 2, y + s * v / 2]);
      line(g, [[a, b], [c, d]]);
      const angle = Math.atan2(d - b, c - a), head = 5;
      g.beginPath(); g.moveTo(c, d);
      for (const turn of [2.6, -2.6]) g.lineTo(c + head * Math.cos(angle + turn), d + head * Math.sin(angle + turn));
      g.fill();
    }
    g.globalAlpha = 1;
  }
  // How many of these times have passed, and the place on a path at t: between two times on a straight line.
  const passed = (at, t) => at.filter((v) => v <= t).length;
  function place(path, at, t) {
    const i = Math.min(passed(at, t), at.length - 1), share = (t - at[i - 1]) / (at[i] - at[i - 1]);
    return px([0, 1].map((k) => path[i - 1][k] + share * (path[i][k] - path[i - 1][k])));
  }

  function draw(t) {
    g.clearRect(0, 0, size, size);
    g.drawImage(ground, 0, 0, size, size);
    arrows(plane.fields[Math.round(t * (plane.fields.length - 1))].arrows);
    flows.forEach((flow, i) => {
      const { label, path } = moving[i * every], done = passed(times, t), way = path.map(px);
      g.strokeStyle = g.fillStyle = color(label);
      g.lineWidth = 1.4;
      g.setLineDash([3, 5]);
      line(g, flow.map(px));
      g.setLineDash([]);
      g.lineWidth = 2;
      g.globalAlpha = 0.25;
      line(g, way);
      g.globalAlpha = 1;
      line(g, [...way.slice(0, done), place(path, times, t)]);
      for (const [x, y] of way.slice(0, done)) g.fillRect(x - mark / 2, y - mark / 2, mark, mark);
      g.lineWidth = 1.6;
      g.beginPath(); g.arc(...place(flow, flowTimes, t), 7, 0, 7); g.stroke();
    });
    moving.forEach(({ label, path }, i) => dot(g, place(path, times, t), label, i % every ? 4 : 6));
    scale(g, reach);
  }

  // ---- a slider for t, a button to let it run ----
  const slider = element("input", { type: "range", min: 0, max: 1, step: "any", value: 0, ariaLabel: "t, from 0 to 1" });
  const button = element("button", { type: "button", className: "play" }), time = element("output");
  const marks = element("div", { className: "steps", title: "where the solver's steps end" }, ...times.map((t) => element("i", { style: `left: ${100 * t}%` })));
  stage.box.append(element("div", { className: "controls" }, button, element("div", { className: "track" }, slider, marks), time));
  let running = 0;  // of the frame that comes next
  function show(t) {
    slider.value = t;
    slider.setAttribute("aria-valuetext", "t = " + t.toFixed(2));
    time.textContent = "t = " + t.toFixed(2);
    draw(t);
  }
  function stop() {
    cancelAnimationFrame(running);
    clearTimeout(running);
    running = 0;
    button.textContent = "▶ Play";
  }
  function play() {
    const from = slider.value >= 1 ? 0 : Number(slider.value), still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const begin = performance.now(), whole = 5000;  // milliseconds from 0 to 1
    // Who wants no motion gets five pictures, one after the other.
    const next = (frame) => still ? setTimeout(() => frame(performance.now()), whole / 4) : requestAnimationFrame(frame);
    const step = (now) => {
      const t = Math.min(1, from + Math.max(0, now - begin) / whole);
      show(still ? Math.round(4 * t) / 4 : t);
      if (t < 1) running = next(step); else stop();
    };
    button.textContent = "❚❚ Pause";
    running = next(step);
  }
  button.onclick = () => running ? stop() : play();
  slider.oninput = () => { stop(); show(Number(slider.value)); };
  stop();
  // report.html#t=0.5 opens there.
  show(Math.min(1, Math.max(0, Number(/^#t=([\d.]+)$/.exec(location.hash)?.[1] || 0))));
})();
