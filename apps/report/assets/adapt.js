// How the solver was adapted during training.
"use strict";
(() => {
  const { data: { adapt }, lineChart, asPercent } = report;
  if (!adapt || !adapt.length) return;
  const column = (name) => adapt.filter((row) => row[name] !== null).map((row) => [row.step, row[name]]);
  const fixed = column("steps").length > 0;
  if (fixed)
    lineChart("Steps of the solver", "How many steps the adapted solver takes for one pass. Now and then a batch is decided by a more accurate solver too: where the two disagree, the number doubles, else it falls slowly.",
      "training step", "steps", [{ label: "steps", points: column("steps") }], { yAxis: { beginAtZero: true } });
  else
    lineChart("Tolerance of the solver", "How exactly the adapted solver works. Now and then a batch is decided by a more accurate solver too: where the two disagree, the tolerance is halved, else it rises slowly.",
      "training step", "relative tolerance", [{ label: "tolerance", points: column("size") }], { yAxis: { type: "logarithmic" } });
  lineChart("Batches decided twice", "Accuracy on the batch of each decision, by the solver of the training and by the more accurate one. Far apart: the model has come to depend on the solver's errors.",
    "training step", "accuracy on the batch", [{ label: "training solver", points: column("train_accuracy") }, { label: "more accurate solver", points: column("test_accuracy"), dashed: true }], { yAxis: asPercent });
})();
