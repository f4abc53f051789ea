// The same weights under other solvers, from `slope eval`.
"use strict";
(() => {
  const { lineChart, table, percent, short, asPercent, results: { evals, comparable, other, alone } } = report;
  // By what a pass costs: so every solver has its place, fixed steps or not, and methods can be compared.
  const byMethod = {};
  for (const r of comparable(evals)) {
    const method = (alone(r.regime) ? "" : r.regime + " ") + r.solver.split(/[:@~]/)[0] + (r.solver.includes("@") ? " adaptive" : "") + (r.stepping === "per-sample" ? " per sample" : "");
    if (r.nfe > 0) (byMethod[method] = byMethod[method] || []).push([r.nfe, r.accuracy, r.solver]);
  }
  const series = Object.entries(byMethod).map(([label, p]) => ({ label, points: p.sort((a, b) => a[0] - b[0]) }));
  if (series.flatMap((s) => s.points).length > 1)
    lineChart("Accuracy under other solvers", "The trained weights stay, the solver changes. A net that has learnt a flow keeps its accuracy with more steps or another method; one that has learnt the steps of its solver loses it.",
      "evaluations of the field per pass (NFE)", "accuracy", series, { counts: true, yAxis: asPercent, section: "results" });
  table("Solvers", ["solver", "accuracy", "correct", "of", "loss", "NFE"],
    evals.map((r) => [r.solver + (alone(r.regime) ? "" : ", " + r.regime) + other(r), percent(r.accuracy), r.correct, r.examples, r.loss === null ? "not finite" : short(r.loss), short(r.nfe)]), 1,
    "Test samples, each solver with the same weights. NFE: evaluations of the field in one pass.");
})();
