// How far and how fast the states of the ODE blocks move.
"use strict";
(() => {
  const { data: { states }, lineChart } = report;
  if (!states) return;
  const { solver, reference, samples, blocks } = states;
  const series = (label, path, key, dashed) => ({
    label, dashed, points: path.t.map((t, i) => [t, path[key][i][0]]), band: path.t.map((t, i) => [t, path[key][i][1], path[key][i][2]]),
  });
  blocks.forEach(({ shape, own, flow }, i) => {
    const which = blocks.length > 1 ? `, ODE block ${i + 1} of ${blocks.length}` : "";
    const steps = own.steps === 1 ? "one step" : `${own.steps} steps`;
    const chart = (title, text, label, key) => lineChart(title + which, text, "t", label,
      [series(solver, own, key, false), series(reference + ", close to the exact flow", flow, key, true)], { section: "motion", xAxis: { min: 0, max: 1 }, yAxis: { beginAtZero: true } });
    chart("How large the state is", `The state of an ODE block (${shape.join(" x ")} numbers) from t = 0 to 1: its norm, mean of ${samples} test samples; the band holds four fifths of them. ` +
      `Solid, with its dots: as ${solver} goes, in ${steps}. Where the dashed line differs, the solver does not follow the field.`, "norm of the state, |y|", "norm");
    chart("How fast the state moves", "The size of the field at the same states. A level line: moving steadily all the way; a falling one: coming to rest.", "norm of the slope, |f|", "slope");
  });
})();
