// Mistakes: what is taken for what, and the pictures it is most wrongly sure of.
"use strict";
(() => {
  const { data: { mistakes }, element, percent, picture, framed } = report;
  if (!mistakes) return;
  const { classes, confusion, shape, wrong } = mistakes;
  const most = Math.max(1, ...confusion.flatMap((row, i) => row.filter((_, j) => j !== i)));
  const cell = (n, i, j) => element("td", {
    textContent: n || "", className: i === j ? "right" : "", title: `${n} of class ${classes[i]} decided ${classes[j]}`,
    style: i === j || !n ? "" : `background: rgba(224, 122, 47, ${0.15 + 0.75 * n / most})`,
  });
  framed("pictures", "What is taken for what", "Test samples: a row for each class, a column for each decision. Off the diagonal, in colour, are the mistakes.",
    element("div", { className: "scroll" }, element("table", { className: "confusion" },
      element("thead", {}, element("tr", {}, element("th", { textContent: "class \\ decided" }), ...classes.map((c) => element("th", { textContent: c })), element("th", { textContent: "right" }))),
      element("tbody", {}, ...confusion.map((row, i) => {
        const all = row.reduce((a, b) => a + b, 0);
        return element("tr", {}, element("th", { textContent: classes[i] }), ...row.map((n, j) => cell(n, i, j)),
          element("td", { textContent: all ? percent(row[i] / all) : "" }));
      })))));
  if (wrong.length) {
    framed("pictures", "Most wrong", "Test pictures with a wrong decision, those it was surest of first: the class, the decision, and how sure it was.",
      element("div", { className: "wrong" }, ...wrong.map((one) =>
        picture(shape, one.pixels.map((v) => v / 255), `${classes[one.label]}, decided ${classes[one.decided]}, ${(100 * one.probability).toFixed(1)} %`))));
  }
})();
