#include "apps/reproduce/table.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>

#include "apps/slope/output.h"
#include "core/error.h"

namespace slope::reproduce {
namespace {

using Json = nlohmann::ordered_json;

std::string text_of(double value, Unit unit) {
  char text[32];
  switch (unit) {
    case Unit::share:
      std::snprintf(text, sizeof text, "%.2f %%", 100 * value);
      break;
    case Unit::number:
      std::snprintf(text, sizeof text, value == std::round(value) ? "%.0f" : "%.4g", value);
      break;
    case Unit::seconds:
      std::snprintf(text, sizeof text, "%.1f s", value);
      break;
  }
  return text;
}

const char* unit_name(Unit unit) {
  constexpr const char* kNames[] = {"share", "number", "seconds"};
  return kNames[static_cast<int>(unit)];
}

// Which weights a figure is of.
std::string origin(const Figure& f) {
  if (f.from.starts_with("epoch ")) return f.from;
  if (f.field == "best_accuracy") return "best epoch by the test set";
  if (f.from == "train" && f.field != "test_accuracy") return "training";
  return "last epoch";
}

std::string measured_text(const MeasuredRow& r) {
  if (r.values.empty()) return "-";
  std::string text = text_of(r.mean, r.row->unit);
  if (std::isfinite(r.standard_error)) text += " +- " + text_of(r.standard_error, r.row->unit);
  return text;
}

// What the value was measured on.
std::string basis(const MeasuredRow& r) {
  if (r.values.empty()) return "";
  return r.examples > 0 ? concat(r.of, ", ", r.examples, " test samples") : r.of;
}

}  // namespace

void summarize(MeasuredRow& r) {
  const auto n = static_cast<double>(r.values.size());
  r.standard_error = NAN;
  if (r.values.empty()) return;
  r.mean = std::accumulate(r.values.begin(), r.values.end(), 0.0) / n;
  if (r.values.size() < 2) return;
  double square = 0;
  for (double v : r.values) square += (v - r.mean) * (v - r.mean);
  r.standard_error = std::sqrt(square / (n - 1) / n);
}

std::vector<MeasuredRow> measure_rows(
    const Preset& preset,
    const std::function<std::vector<const Record*>(const std::string& experiment)>& runs) {
  std::vector<MeasuredRow> list;
  for (const Row& row : preset.rows) {
    MeasuredRow r{.row = &row, .note = row.note};
    if (row.measured) {
      const std::vector<const Record*> records = runs(row.measured->experiment);
      const std::vector<const Record*> others =
          row.minus ? runs(row.minus->experiment) : std::vector<const Record*>();
      r.of = origin(*row.measured);
      for (size_t i = 0; i < records.size(); ++i) {
        auto value = records[i]->value(*row.measured);
        if (!value || (row.minus && i >= others.size())) continue;
        if (row.minus) {
          const auto other = others[i]->value(*row.minus);
          if (!other) continue;
          value->value -= other->value;
        }
        r.values.push_back(value->value);
        r.examples = value->examples;
        if (r.examples == 0 && origin(*row.measured) != "training") {
          const auto samples =
              records[i]->value({.experiment = {}, .from = "train", .field = "test_examples"});
          if (samples) r.examples = static_cast<int64_t>(samples->value);
        }
      }
      if (records.empty())
        r.note += (r.note.empty() ? "" : "; ") + std::string("not run at this scale");
    }
    summarize(r);
    list.push_back(std::move(r));
  }
  return list;
}

std::string rows_text(const std::vector<MeasuredRow>& rows) {
  std::vector<std::vector<std::string>> table{{"", "published", "measured", "n", "of", "note"}};
  int64_t left_out = 0;
  for (const MeasuredRow& r : rows) {
    if (r.row->measured && r.values.empty()) {
      ++left_out;
      continue;
    }
    table.push_back({r.row->what, r.row->published ? text_of(*r.row->published, r.row->unit) : "-",
                     measured_text(r), r.values.empty() ? "" : std::to_string(r.values.size()),
                     basis(r), r.note});
  }
  std::string text = program::table_text(table);
  if (left_out > 0)
    text +=
        concat("and ", left_out, " rows that are not measured at this scale (see the report)\n");
  return text;
}

Json rows_json(const std::vector<MeasuredRow>& rows) {
  Json list = Json::array();
  for (const MeasuredRow& r : rows) {
    const bool measured = !r.values.empty();
    list.push_back({{"what", r.row->what},
                    {"published", r.row->published ? Json(*r.row->published) : Json()},
                    {"measured", measured ? Json(r.mean) : Json()},
                    {"stderr", std::isfinite(r.standard_error) ? Json(r.standard_error) : Json()},
                    {"n", r.values.size()},
                    {"values", r.values},
                    {"unit", unit_name(r.row->unit)},
                    {"of", measured ? Json(r.of) : Json()},
                    {"examples", r.examples > 0 ? Json(r.examples) : Json()},
                    {"note", r.note}});
  }
  return list;
}

Json charts_json(const Preset& preset, const std::vector<MeasuredRow>& rows) {
  Json charts = Json::array();
  for (const Chart& chart : preset.charts) {
    Json all = Json::array();
    bool share = false;
    for (const MeasuredRow& r : rows) {
      if (!r.row->point || r.row->point->chart != chart.title) continue;
      const auto& [title, name, x] = *r.row->point;
      share = r.row->unit == Unit::share;
      auto found = std::find_if(all.begin(), all.end(),
                                [&, n = name](const Json& s) { return s["name"] == n; });
      if (found == all.end()) {
        all.push_back({{"name", name}, {"measured", Json::array()}, {"published", Json::array()}});
        found = std::prev(all.end());
      }
      if (!r.values.empty()) {
        const double spread = std::isfinite(r.standard_error) ? r.standard_error : 0;
        (*found)["measured"].push_back({x, r.mean, r.mean - spread, r.mean + spread});
      }
      if (r.row->published) (*found)["published"].push_back({x, *r.row->published});
    }
    charts.push_back({{"title", chart.title},
                      {"x", chart.x},
                      {"y", chart.y},
                      {"logarithmic", chart.logarithmic},
                      {"caption", chart.caption},
                      {"share", share},
                      {"series", all}});
  }
  return charts;
}

}  // namespace slope::reproduce
