// The one kind of chart that the report of a run is made of: lines, some with a band around them.
"use strict";
report.lineChart = (() => {
  const { css, colors, element, card, axis } = report;
  const color = (s, i) => colors[(s.color ?? i) % colors.length];
  const point = ([x, y, name]) => ({ x, y, name });

  // Counts are powers of two more often than of ten.
  function counts(series) {
    const all = series.flatMap((s) => s.points.map(([x]) => x)), least = Math.min(...all), largest = Math.max(...all);
    const room = least === largest ? 2 : 1.1;
    return {
      type: "logarithmic", min: least / room, max: largest * room, ticks: { callback: (v) => String(v), maxRotation: 0 },
      afterBuildTicks: (scale) => { scale.ticks = Array.from({ length: 31 }, (_, i) => ({ value: 2 ** i })).filter(({ value: v }) => v >= scale.min && v <= scale.max); },
    };
  }

  // Dashed lines lie on top, so that two that are the same are both seen, bands below. A band is two
  // lines without a stroke, the second filled down to the first.
  function datasets(series) {
    const edge = { borderWidth: 0, pointRadius: 0, pointHitRadius: 0, isBand: true, order: 2 };
    const bands = series.flatMap((s, i) => !s.band ? [] : [
      { ...edge, data: s.band.map(([x, low]) => ({ x, y: low })) },
      { ...edge, data: s.band.map(([x, , high]) => ({ x, y: high })), fill: "-1", backgroundColor: color(s, i) + "26" },
    ]);
    const lines = series.map((s, i) => ({
      label: s.label, data: s.points.map(point), borderColor: color(s, i), backgroundColor: color(s, i),
      borderWidth: 2, borderDash: s.dashed ? [6, 4] : [], order: s.dashed ? 0 : 1, clip: false, tension: 0,
      pointRadius: s.dashed || s.points.length > 80 ? 0 : s.points.length > 20 ? 2 : s.points.length > 1 ? 3 : 5,
    }));
    return lines.concat(bands);
  }

  // Chart.js leaves the dashes of a line out of its legend.
  const dashed = (chart) => Chart.defaults.plugins.legend.labels.generateLabels(chart)
    .map((item) => ({ ...item, lineDash: chart.data.datasets[item.datasetIndex].borderDash }));

  // series: [{label, points: [[x, y, name of the point if it has one]], band: [[x, low, high]], dashed, color: the number of one}]
  // x, y: what the axes say; options: {section, counts: x in powers of two, yAxis, xAxis: more for Chart.js}
  return (title, text, x, y, series, options = {}) => {
    const drawn = series.filter((s) => s.points.some(([, v]) => Number.isFinite(v)));
    if (!drawn.length || typeof Chart === "undefined") return;
    const canvas = element("canvas", { role: "img", ariaLabel: title });
    card(title, text, options.section).append(canvas);
    const xAxis = options.counts ? counts(drawn) : { type: "linear", ...(x === "epoch" ? { ticks: { precision: 0 } } : {}), ...options.xAxis };
    new Chart(canvas, {
      type: "line",
      data: { datasets: datasets(drawn) },
      options: {
        animation: false, maintainAspectRatio: false, parsing: false, interaction: { mode: "nearest", intersect: false },
        plugins: {
          tooltip: { filter: ({ dataset }) => !dataset.isBand, callbacks: { label: ({ raw, dataset, formattedValue }) => (raw.name || dataset.label) + ": " + formattedValue } },
          legend: {
            display: drawn.length > 1,
            labels: { color: css("--text"), usePointStyle: true, pointStyle: "line", boxWidth: 28, pointStyleWidth: 28, generateLabels: dashed, filter: ({ datasetIndex }, { datasets: all }) => !all[datasetIndex].isBand },
          },
        },
        scales: { x: axis(x, xAxis), y: axis(y, options.yAxis) },
      },
    });
  };
})();
