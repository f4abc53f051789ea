// How the training went, epoch by epoch.
"use strict";
(() => {
  const { data: { metrics: m }, lineChart, table, percent, short, asPercent } = report;
  if (!m.length) return;
  const shown = (v) => v === null ? "not finite" : short(v);
  // metrics.csv counts seconds and steps from the start of the run. --iterations may cut the last
  // epoch off: its seconds are those that a whole one would have taken.
  const since = (i, name) => m[i][name] - (i ? m[i - 1][name] : 0);
  const seconds = m.map((_, i) => since(i, "seconds") * report.data.epoch_steps / since(i, "step"));
  const solves = m.some((row) => row.nfe_forward > 0);

  if (m.length === 1) {  // one point makes no curve
    const [row] = m, nfe = solves ? [["evaluations of the field, forward", shown(row.nfe_forward)], ["evaluations of the field, backward", shown(row.nfe_backward)]] : [];
    const more = ["validation_loss", "validation_accuracy", "attack_accuracy", "pgd_accuracy", "penalty"].filter((k) => row[k] !== undefined)
      .map((k) => [k.replace("_", " "), k.includes("accuracy") ? percent(row[k]) : shown(row[k])]);
    table("Its one epoch", ["", "value"], [
      ["training loss", shown(row.train_loss)], ["training accuracy", percent(row.train_accuracy)], ["test loss", shown(row.test_loss)], ["test accuracy", percent(row.test_accuracy)],
      ["learning rate at its end", shown(row.learning_rate)], ["seconds", shown(seconds[0])], ...nfe, ...more,
    ], 1, "One pass over the training data, then a test on samples that it has not learnt from.", "charts");
    return;
  }

  const column = (name) => m.map((row) => [row.epoch, row[name]]);
  const heldOut = (what) => m[0]["validation_" + what] === undefined ? [] : [{ label: "validation", points: column("validation_" + what) }];
  const fromZero = { yAxis: { beginAtZero: true } };
  lineChart("Loss", "How far its answers are from the right ones, after each pass over the training data (an epoch). Lower is better; train falling while test rises is learning by heart.",
    "epoch", "cross-entropy", [{ label: "train", points: column("train_loss") }, { label: "test", points: column("test_loss") }, ...heldOut("loss")]);
  lineChart("Accuracy", "How many samples it decides right: those it learns from (train, counted while it learns) and those it has never learnt from (test).",
    "epoch", "accuracy", [{ label: "train", points: column("train_accuracy") }, { label: "test", points: column("test_accuracy") }, ...heldOut("accuracy")], { yAxis: asPercent });
  if (m[0].pgd_accuracy !== undefined)
    lineChart("Training samples under attack", "Accuracy on training samples that were changed to mislead it, by the training's own attack and by a stronger one. If only the own one fails to fool it, it has learnt that attack, not to withstand.",
      "epoch", "accuracy", [{ label: "the training's attack", points: column("attack_accuracy") }, { label: "PGD, 10 steps", points: column("pgd_accuracy") }], { yAxis: { beginAtZero: true, ...asPercent } });
  if (m[0].penalty !== undefined)
    lineChart("Regularisers", "What was added to the loss to keep the flow simple, mean of the epoch.", "epoch", "sum of the terms in their weights", [{ label: "penalty", points: column("penalty") }], fromZero);
  if (solves)
    lineChart("Evaluations of the field", "What the ODE costs: how often its right side is evaluated for one batch, for the answer (forward) and for the gradient (backward).",
      "epoch", "NFE per pass", [{ label: "forward", points: column("nfe_forward") }, { label: "backward", points: column("nfe_backward"), dashed: true }], fromZero);
  lineChart("Seconds per epoch", "How long one pass over the training data took, the test after it not counted.", "epoch", "seconds", [{ label: "seconds", points: m.map((row, i) => [row.epoch, seconds[i]]) }], fromZero);
  lineChart("Learning rate", "How large a step the weights take downhill, at the end of each epoch.", "epoch", "learning rate", [{ label: "rate", points: column("learning_rate") }], fromZero);
})();
