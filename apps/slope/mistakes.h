// What a classifier gets wrong on the test set, for the report: which classes it takes for which,
// and the pictures of which it is most wrongly sure.
#pragma once

#include <filesystem>
#include <vector>

#include "nn/data/dataset.h"

namespace slope::program {

// Writes RUN/mistakes.json:
//   {step, classes: [names], confusion: [[count]], shape: [h, w, c],
//    wrong: [{label, decided, probability, pixels: [0..255]}]}
// confusion has a row for each label and a column for each decision. `wrong` is empty for points.
// logits: (test.size(), classes), row after row; step: of the weights. Does nothing for more than
// 100 classes.
void write_mistakes(const std::filesystem::path& run, const std::vector<double>& logits,
                    const nn::Dataset& test, int64_t step);

}  // namespace slope::program
