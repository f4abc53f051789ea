// Of the results of `slope eval` and `slope attack`: which of them can stand side by side.
"use strict";
report.results = (() => {
  const { data } = report;
  // Accuracies over other data, in another dtype or over fewer samples do not belong on one curve.
  const comparable = (results) => {
    const own = results.filter((r) => r.data === data.data && r.dtype === data.dtype), most = Math.max(...own.map((r) => r.examples));
    return own.filter((r) => r.examples === most);
  };
  // What a result was measured on, where it is not what the run was trained on.
  const other = (r) => [r.data === data.data ? "" : ", " + r.data, r.dtype === data.dtype ? "" : ", " + r.dtype, r.stepping === "per-sample" ? ", steps per sample" : ""].join("");
  const alone = (regime) => !regime || regime === "standalone";
  return { evals: data.results.eval || [], attacks: data.results.attack || [], comparable, other, alone };
})();
