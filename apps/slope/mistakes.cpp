#include "apps/slope/mistakes.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "apps/slope/data_source.h"
#include "apps/slope/output.h"
#include "apps/slope/run_folder.h"
#include "core/atomic_file.h"

namespace slope::program {
namespace {

using Json = nlohmann::ordered_json;

constexpr int64_t kMostClasses = 100;
constexpr size_t kPictures = 18;

struct Decision {
  size_t sample = 0;
  int64_t decided = 0;
  double probability = 0;  // of what was decided
};

// row: (classes)
Decision decide(const double* row, int64_t classes, size_t sample) {
  const double* best = std::max_element(row, row + classes);
  double sum = 0;
  for (int64_t k = 0; k < classes; ++k) sum += std::exp(row[k] - *best);
  return {sample, best - row, 1 / sum};
}

}  // namespace

void write_mistakes(const std::filesystem::path& run, const std::vector<double>& logits,
                    const nn::Dataset& test, int64_t step) {
  const int64_t classes = test.classes;
  if (classes > kMostClasses) return;
  const auto count = static_cast<size_t>(classes);
  std::vector<std::vector<int64_t>> confusion(count, std::vector<int64_t>(count));
  std::vector<Decision> wrong;
  for (size_t i = 0; i < test.labels.size(); ++i) {
    const Decision d = decide(logits.data() + i * count, classes, i);
    ++confusion[static_cast<size_t>(test.labels[i])][static_cast<size_t>(d.decided)];
    if (d.decided != test.labels[i]) wrong.push_back(d);
  }
  std::stable_sort(wrong.begin(), wrong.end(), [](const Decision& a, const Decision& b) {
    return a.probability > b.probability;
  });

  Json json{{"step", step},
            {"classes", class_labels(test)},
            {"confusion", confusion},
            {"shape", std::vector<int64_t>(test.sample.begin(), test.sample.end())},
            {"wrong", Json::array()}};
  const size_t values = test.has_pixels() ? test.pixels.size() / test.labels.size() : 0;
  for (size_t i = 0; i < std::min(wrong.size(), kPictures) && values > 0; ++i) {
    const auto from = test.pixels.begin() + static_cast<std::ptrdiff_t>(wrong[i].sample * values);
    json["wrong"].push_back(
        {{"label", test.labels[wrong[i].sample]},
         {"decided", wrong[i].decided},
         {"probability", wrong[i].probability},
         {"pixels", std::vector<int>(from, from + static_cast<std::ptrdiff_t>(values))}});
  }
  write_atomically(run / "mistakes.json", json_text(json));
}

}  // namespace slope::program
