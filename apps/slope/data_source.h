// Data sets by their word: mnist, fashion-mnist, cifar10, spheres,dim=2 and so on; and where their
// files are.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "nn/attack/attack.h"
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
// What is to be said of the first samples of a set that are not of all its classes, as those of a
// set that is sorted are not: "the first 100 test samples are of 1 of the 2 classes"; else empty.
std::string few_classes(const nn::Dataset& first, const std::string& kind);
// The word as it means the same in any place: a folder of pictures with its path in full, unless
// that has a comma.
std::string settled(const std::string& word, const std::string& data_dir);
// The names of its classes, their numbers where they have none. (classes)
std::vector<std::string> class_labels(const nn::Dataset& data);
// True for pixels in [0, 1]; points have no such range.
bool is_image_data(const std::string& word);
// The range that attacked values stay in: [0, 1] for pixels, none for points.
nn::Range data_range(const std::string& word);

// Where data is sought. A place that was named is the only one: data_dir, else SLOPE_DATA; where
// neither is set, ../data beside the program, then ../share/slope, then where Debian's packages put
// it.
std::vector<std::filesystem::path> data_folders(const std::string& data_dir);

// Where the files of a data set (mnist, fashion-mnist, cifar10) are: a folder, or an archive of
// cifar10. Empty when there are none; the places looked at in `sought`, where that is given.
std::filesystem::path find_data(const std::string& name, const std::string& data_dir,
                                std::string* sought = nullptr);

// The path of an IDX file, plain or .gz, in a folder; empty when it is not there.
std::filesystem::path idx_file(const std::filesystem::path& folder, const std::string& name);

}  // namespace slope::program
