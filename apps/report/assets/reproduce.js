// Draws the report of `slope reproduce` from the JSON in #data: charts, then the table.
"use strict";
(() => {
  const { data, element, framed, table, percent, lineChart, asPercent } = report;

  data.charts.forEach((chart) => {
    const band = (points) => points.some(([, mean, low]) => low < mean) ? points.map(([x, , low, high]) => [x, low, high]) : undefined;
    const series = chart.series.flatMap((s, i) => [
      { label: s.name, color: i, points: s.measured.map(([x, mean]) => [x, mean]), band: band(s.measured) },
      { label: s.name + ", published", color: i, points: s.published, dashed: true },
    ]);
    const text = (chart.caption ? chart.caption + " " : "") + "Solid: measured here, the band plus and minus a standard error. Dashed: published.";
    lineChart(chart.title, text, chart.x, chart.y, series.filter((s) => s.points.length), { counts: chart.logarithmic, yAxis: chart.share ? asPercent : {} });
  });

  const text = (v, unit) => v === null ? "-" : unit === "share" ? percent(v) : unit === "seconds" ? v.toFixed(1) + " s" : String(Number.isInteger(v) ? v : Number(v.toPrecision(4)));
  table("Published and measured", ["", "published", "measured", "\u00b1", "n", "of", "note"],
    data.rows.filter((r) => r.measured !== null || r.published !== null).map((r) => [r.what, text(r.published, r.unit), text(r.measured, r.unit), r.stderr === null ? "" : text(r.stderr, r.unit), r.n || "",
      [r.of, r.examples ? r.examples + " test samples" : ""].filter(Boolean).join(", "), r.note]), 1,
    [data.note, "\u00b1: the standard error of the mean over n seeds, their standard deviation (with n - 1) over the root of n."].filter(Boolean).join(" "));
  const list = (items) => element("ul", {}, ...items.map((item) => element("li", {}, item)));
  if (data.changes.length) framed("tables", "Other than published", "Where this scale does less than the publication.", list(data.changes));
  framed("tables", "Runs", "Each with a report of its own.", list(data.runs.map((run) => element("a", { href: run + "/report.html", textContent: run }))));
})();
