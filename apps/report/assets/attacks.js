// What attacks do, from `slope attack`: curves over their size, a map of solvers, pictures.
"use strict";
(() => {
  const { data, colors, element, percent, lineChart, card, table, picture, framed, asPercent, results: { attacks, comparable, other, alone } } = report;

  const byEps = {};
  for (const r of comparable(attacks)) {
    const match = /^([^,]+),(?:.*,)?eps=([^,]+)/.exec(r.attack);
    if (!match) continue;
    const [above, below] = match[2].split("/").map(Number);
    const label = r.attack.replace(/,eps=[^,]+/, "") + ", " + r.solver + (alone(r.regime) ? "" : " " + r.regime) + (r.attack_solver === r.solver ? "" : " through " + r.attack_solver);
    (byEps[label] = byEps[label] || { clean: r.clean_accuracy, points: [] }).points.push([below ? above / below : above, r.accuracy]);
  }
  // Of many lines only those with several sizes; the matrices and the table have the others.
  const sized = Object.entries(byEps), curves = sized.length > 8 ? sized.filter(([, v]) => v.points.length > 1) : sized;
  lineChart("Accuracy under attack", "An attack changes every picture by at most eps so that it is decided wrong. At 0 stands the accuracy on unchanged samples; the slower a line falls, the more the net withstands.",
    "size of the attack (eps)", "accuracy", curves.map(([label, v]) => ({ label, points: [[0, v.clean], ...v.points.sort((a, b) => a[0] - b[0])] })),
    { yAxis: { beginAtZero: true, ...asPercent }, section: "results" });

  // One map for each attack (noise asks no solver): defended solvers down, the attack's solvers across, the lowest of a row framed.
  const byAttack = {};
  for (const r of comparable(attacks)) if (!/^(noise|uniform|salt-pepper)/.test(r.attack)) (byAttack[r.attack] = byAttack[r.attack] || []).push(r);
  const side = (solver, regime) => solver + (alone(regime) ? "" : " (" + regime + ")");
  for (const [attack, list] of Object.entries(byAttack)) {
    const across = [...new Set(list.map((r) => side(r.attack_solver, r.attack_regime)))], down = [...new Set(list.map((r) => side(r.solver, r.regime)))];
    if (across.length < 2) continue;
    const at = (d, a) => list.find((r) => side(r.solver, r.regime) === d && side(r.attack_solver, r.attack_regime) === a);
    const box = card("Solver matrix: " + attack, "Accuracy under attack. Rows: the solver that defends; columns: the one the attack was made through. A row's lowest is framed.", "results");
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
      element("tbody", {}, ...rows))));
  }

  table("Attacks", ["attack", "solver", "attack solver", "gradient", "clean", "attacked", "of"],
    attacks.map((r) => [r.attack + other(r), r.solver, r.attack_solver, r.gradient, percent(r.clean_accuracy), percent(r.accuracy), r.examples]), 4,
    "Accuracy on the same test samples, unchanged (clean) and changed (attacked).");

  if (data.pictures) {
    const { pictures, shape, attack } = data.pictures, strip = element("div", { className: "strip" });
    for (const one of pictures) {
      const change = one.attacked.map((v, i) => v - one.clean[i]);
      // The change is drawn around grey, its largest value as black or white.
      const largest = Math.max(...change.map(Math.abs), 1e-12);
      strip.append(element("div", { className: "triple" }, picture(shape, one.clean, "label " + one.label),
        picture(shape, change.map((v) => 0.5 + 0.5 * v / largest), "change"), picture(shape, one.attacked, "attacked")));
    }
    framed("pictures", "Clean and attacked: " + attack, "A test picture, what the attack adds to it (enlarged to be seen; grey is nothing), and what the net then gets to see.", strip);
  }
})();
