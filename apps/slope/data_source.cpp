#include "apps/slope/data_source.h"

#include <cstdlib>

#include "core/nearest.h"
#include "core/word.h"
#include "nn/data/idx.h"
#include "nn/data/spheres.h"

namespace slope::program {
namespace {

namespace fs = std::filesystem;

int64_t whole_number(const std::string& word, const std::string& text) {
  char* end = nullptr;
  const long long value = std::strtoll(text.c_str(), &end, 10);
  if (text.empty() || *end || value < 1)
    throw ValueError(concat("data: ", word, ": \"", text, "\" is not a positive number."));
  return value;
}

// FOLDER/name or FOLDER/name.gz; empty when neither is there.
fs::path idx_file(const fs::path& folder, const std::string& name) {
  for (const fs::path& path : {folder / name, folder / (name + ".gz")}) {
    if (fs::exists(path)) return path;
  }
  return {};
}

DataSets load_idx(const std::string& name, const std::string& data_dir) {
  std::string sought;
  for (const fs::path& root : data_folders(data_dir)) {
    const fs::path folder = root / name;
    sought += (sought.empty() ? "" : ", ") + folder.string();
    const auto part = [&](const char* prefix, const char* split) {
      const std::string images = concat(prefix, "-images-idx3-ubyte"),
                        labels = concat(prefix, "-labels-idx1-ubyte");
      const fs::path image_path = idx_file(folder, images), label_path = idx_file(folder, labels);
      if (image_path.empty() || label_path.empty()) {
        throw DataError(concat(folder.string(), ": ", image_path.empty() ? images : labels,
                               " (or .gz) is missing."));
      }
      return nn::read_idx(image_path, label_path, 10, name + " " + split);
    };
    if (fs::is_directory(folder)) return {part("train", "train"), part("t10k", "test")};
  }
  throw DataError(concat("data: ", name, " is not in ", sought,
                         ". Say where with --data-dir DIR (files in DIR/", name,
                         "/), or set SLOPE_DATA."));
}

}  // namespace

const std::vector<DataDescription>& data_list() {
  static const std::vector<DataDescription> list = {
      {"mnist", "handwritten digits: 60,000 + 10,000 images of 28x28, 10 classes", ""},
      {"fashion-mnist", "clothes, in the same format", ""},
      {"spheres", "points on three concentric shells, 2 classes; generated",
       "dim=2,train=2000,test=1000"}};
  return list;
}

std::vector<fs::path> data_folders(const std::string& data_dir) {
  if (!data_dir.empty()) return {data_dir};
  if (const char* variable = std::getenv("SLOPE_DATA"); variable && *variable) return {variable};
  std::vector<fs::path> folders;
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  if (!error) {
    folders.push_back((program.parent_path() / "../data").lexically_normal());
    folders.push_back((program.parent_path() / "../share/slope").lexically_normal());
  }
  return folders;
}

bool is_image_data(const std::string& word) { return !word.starts_with("spheres"); }

DataSets load_data(const std::string& word, const std::string& data_dir, uint64_t seed) {
  Word parsed("data", word);
  const std::string& name = parsed.name();
  DataSets sets;
  if (name == "mnist" || name == "fashion-mnist") {
    parsed.expect_empty("");
    sets = load_idx(name, data_dir);
  } else if (name == "spheres") {
    const auto take = [&](const char* key, const char* standard) {
      return whole_number(word, parsed.take(key).value_or(standard));
    };
    const int64_t dim = take("dim", "2"), train = take("train", "2000"),
                  test = take("test", "1000");
    parsed.expect_empty("dim, train, test");
    sets = {nn::spheres({.dim = dim, .size = train, .seed = seed}),
            nn::spheres({.dim = dim, .size = test, .seed = seed, .test = true})};
  } else {
    std::vector<std::string> names;
    for (const DataDescription& d : data_list()) names.push_back(d.name);
    throw ValueError(concat("data: there is no data set ", name, ". Did you mean ",
                            nearest(name, names), "? All of them: slope info data."));
  }
  return sets;
}

}  // namespace slope::program
