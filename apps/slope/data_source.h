// Data sets by their word: mnist, fashion-mnist, spheres,dim=2.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "nn/data/dataset.h"

namespace slope::program {

struct DataSets {
  nn::Dataset train, test;
};

struct DataDescription {
  std::string name, what, options;
};
const std::vector<DataDescription>& data_list();

// seed: of generated data. Errors: unknown word (ValueError), files that are not found (DataError:
// where they were sought and what fetches them).
DataSets load_data(const std::string& word, const std::string& data_dir, uint64_t seed);
// True for pixels in [0, 1]; points have no such range.
bool is_image_data(const std::string& word);

// Where data is sought. A place that was named is the only one: data_dir, else SLOPE_DATA; where
// neither is set, ../data beside the program, then ../share/slope.
std::vector<std::filesystem::path> data_folders(const std::string& data_dir);

}  // namespace slope::program
