#include "apps/slope/data_source.h"

#include <cstdlib>
#include <limits>
#include <set>

#include "core/nearest.h"
#include "core/word.h"
#include "nn/data/cifar.h"
#include "nn/data/embedded.h"
#include "nn/data/idx.h"
#include "nn/data/image_folder.h"
#include "nn/data/minima.h"
#include "nn/data/spheres.h"
#include "ode/number_text.h"

namespace slope::program {
namespace {

namespace fs = std::filesystem;

constexpr const char* kImages = "-images-idx3-ubyte";
constexpr const char* kLabels = "-labels-idx1-ubyte";

constexpr int64_t kLargestNumber = int64_t{1} << 40;

int64_t whole_number(const std::string& word, const std::string& text) {
  char* end = nullptr;
  const long long value = std::strtoll(text.c_str(), &end, 10);
  if (text.empty() || *end || value < 1 || value > kLargestNumber)
    throw ValueError(concat("data: ", word, ": \"", text, "\" is not a positive whole number."));
  return value;
}
int64_t take_number(Word& word, const char* option, const char* standard) {
  return whole_number(word.text(), word.take(option).value_or(standard));
}

std::vector<std::string> class_names(const std::string& name) {
  if (name == "mnist") return {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
  return {"T-shirt", "trousers", "pullover", "dress", "coat",
          "sandal",  "shirt",    "sneaker",  "bag",   "ankle boot"};
}

[[noreturn]] void throw_missing(const std::string& name, const std::string& sought) {
  const bool comes_along = name == "mnist";
  throw DataError(concat("data: ", name, " is not in ", sought, ". Say where with --data-dir DIR, ",
                         comes_along
                             ? "or set SLOPE_DATA (it is in data/ of slope's source tree)."
                             : "set SLOPE_DATA, or fetch it: scripts/download-data.sh " + name));
}

// One half of a data set in two IDX files, from `folder`, or from the program itself where that is
// empty.
nn::Dataset idx_part(const fs::path& folder, const std::string& name, const std::string& prefix,
                     const std::string& split) {
  const auto open = [&](const std::string& file) {
    if (folder.empty()) {
      const std::string inside = concat(name, "/", file, ".gz");
      return nn::open_bytes(nn::embedded_file(inside), "(embedded) " + inside);
    }
    const fs::path path = idx_file(folder, file);
    if (path.empty()) throw DataError(concat(folder.string(), ": ", file, " (or .gz) is missing."));
    return nn::open_file(path);
  };
  const auto images = open(prefix + kImages), labels = open(prefix + kLabels);
  nn::Dataset data = nn::read_idx(*images, *labels, 10, name + " " + split);
  data.class_names = class_names(name);
  return data;
}

DataSets load_idx(const std::string& name, const std::string& data_dir) {
  std::string sought;
  const fs::path folder = find_data(name, data_dir, &sought);
  if (folder.empty() && nn::embedded_file(concat(name, "/train", kImages, ".gz")).empty())
    throw_missing(name, sought);
  return {idx_part(folder, name, "train", "train"), idx_part(folder, name, "t10k", "test")};
}

DataSets load_cifar10(const std::string& data_dir) {
  std::string sought;
  const fs::path place = find_data("cifar10", data_dir, &sought);
  if (place.empty()) throw_missing("cifar10", sought);
  auto [train, test] = nn::read_cifar10(place);
  return {std::move(train), std::move(test)};
}

// size=32 or size=32x48 (rows x columns).
void take_size(Word& word, nn::ImageFolderOptions* options) {
  const auto size = word.take("size");
  if (!size) return;
  const size_t x = size->find('x');
  options->height = whole_number(word.text(), size->substr(0, x));
  options->width =
      x == std::string::npos ? options->height : whole_number(word.text(), size->substr(x + 1));
}

// The folder of pictures that "folder" or "folder,path=.." means.
fs::path picture_folder(const std::optional<std::string>& path, const std::string& data_dir) {
  fs::path folder = path.value_or(data_dir);
  if (folder.empty())
    throw ValueError("data: folder: which one? Say folder,path=DIR (or --data-dir DIR).");
  for (const fs::path& root : data_folders(data_dir)) {
    if (path && !fs::is_directory(folder) && fs::is_directory(root / *path)) folder = root / *path;
  }
  if (!fs::is_directory(folder))
    throw DataError(concat("data: ", folder.string(), ": there is no such folder."));
  return folder;
}

DataSets load_folder(Word& word, const std::string& data_dir, uint64_t seed) {
  nn::ImageFolderOptions options;
  take_size(word, &options);
  options.channels = take_number(word, "channels", "3");
  const auto path = word.take("path");
  const std::string share_text = word.take("test").value_or("1/5");
  word.expect_empty("path, size, channels, test");
  const std::optional<double> share = ode::parse_number(share_text);
  if (!share) throw ValueError(concat("data: ", word.text(), ": test is not a number."));
  const fs::path folder = picture_folder(path, data_dir);
  if (!fs::is_directory(folder / "train") || !fs::is_directory(folder / "test")) {
    nn::Dataset train = nn::read_image_folder(folder, options, "folder train");
    nn::Dataset test = train.hold_out(*share, seed);
    test.name = "folder test";
    return {std::move(train), std::move(test)};
  }
  nn::Dataset train = nn::read_image_folder(folder / "train", options, "folder train");
  nn::Dataset test = nn::read_image_folder(folder / "test", options, "folder test");
  if (train.class_names != test.class_names || train.sample != test.sample) {
    throw DataError(concat("data: ", folder.string(), ": train and test differ: ", train.classes,
                           " classes of pictures ", train.sample, " and ", test.classes, " of ",
                           test.sample,
                           ", or other names of sub-folders. Both need the same "
                           "sub-folders; size=HxW makes the sizes equal."));
  }
  return {std::move(train), std::move(test)};
}

// What a data set may be called inside a data folder, as a folder or as an archive.
std::vector<std::string> places(const std::string& name) {
  if (name != "cifar10") return {name};
  std::vector<std::string> list = {"cifar10", "cifar-10-batches-bin"};
  for (const char* end : {".tar", ".tar.gz", ".tar.xz"}) {
    list.push_back(std::string("cifar-10-binary") + end);
    list.push_back(std::string("cifar10") + end);
  }
  return list;
}

}  // namespace

const std::vector<DataDescription>& data_list() {
  static const std::vector<DataDescription> list = {
      {"mnist", "handwritten digits: 60,000 + 10,000 images of 28x28, 10 classes", ""},
      {"fashion-mnist", "clothes, in the same format", ""},
      {"cifar10", "photographs: 50,000 + 10,000 colour images of 32x32, 10 classes", ""},
      {"folder", "your own pictures: a sub-folder per class, perhaps inside train/ and test/",
       "path=DIR,size=H[xW],channels=3,test=1/5"},
      {"minima", "a ball among three valleys, where does it come to rest? 3 classes; generated",
       "train=2000,test=1000"},
      {"spheres", "points on three concentric shells, 2 classes; generated",
       "dim=2,train=2000,test=1000"}};
  return list;
}

fs::path idx_file(const fs::path& folder, const std::string& name) {
  for (const fs::path& path : {folder / name, folder / (name + ".gz")}) {
    if (fs::exists(path)) return path;
  }
  return {};
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
  folders.emplace_back("/usr/share/datasets");  // Debian's dataset-fashion-mnist
  return folders;
}

fs::path find_data(const std::string& name, const std::string& data_dir, std::string* sought) {
  fs::path empty_one;  // a folder left empty hides nothing that comes after it
  for (const fs::path& folder : data_folders(data_dir)) {
    std::error_code error;
    for (const std::string& place : places(name)) {
      const fs::path path = folder / place;
      const bool empty = fs::is_directory(path, error) && fs::is_empty(path, error);
      if (fs::exists(path, error) && !empty) return path;
      if (empty && empty_one.empty()) empty_one = path;
    }
    if (sought) *sought += (sought->empty() ? "" : ", ") + (folder / name).string();
  }
  return empty_one;
}

bool is_image_data(const std::string& word) {
  return !word.starts_with("spheres") && !word.starts_with("minima");
}

nn::Range data_range(const std::string& word) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  return is_image_data(word) ? nn::Range{} : nn::Range{-kInfinity, kInfinity};
}

std::string few_classes(const nn::Dataset& first, const std::string& kind) {
  const std::set<int32_t> seen(first.labels.begin(), first.labels.end());
  if (static_cast<int64_t>(seen.size()) == first.classes) return {};
  return concat("the first ", first.size(), " ", kind, " samples are of ", seen.size(), " of the ",
                first.classes, " classes");
}

std::string settled(const std::string& word, const std::string& data_dir) {
  Word parsed("data", word);
  if (parsed.name() != "folder") return word;
  const fs::path folder = picture_folder(parsed.take("path"), data_dir);
  const std::string path = fs::absolute(folder).lexically_normal().string();
  if (path.find(',') != std::string::npos) return word;  // no word can say it
  std::string settled = "folder,path=" + path;
  for (const auto& [name, value] : parsed.options()) settled += concat(",", name, "=", value);
  return settled;
}

DataSets load_data(const std::string& word, const std::string& data_dir, uint64_t seed) {
  Word parsed("data", word);
  const std::string& name = parsed.name();
  if (name == "mnist" || name == "fashion-mnist") {
    parsed.expect_empty("");
    return load_idx(name, data_dir);
  }
  if (name == "cifar10") {
    parsed.expect_empty("");
    return load_cifar10(data_dir);
  }
  if (name == "spheres") {
    const int64_t dim = take_number(parsed, "dim", "2"),
                  train = take_number(parsed, "train", "2000"),
                  test = take_number(parsed, "test", "1000");
    parsed.expect_empty("dim, train, test");
    return {nn::spheres({.dim = dim, .size = train, .seed = seed}),
            nn::spheres({.dim = dim, .size = test, .seed = seed, .test = true})};
  }
  if (name == "minima") {
    const int64_t train = take_number(parsed, "train", "2000"),
                  test = take_number(parsed, "test", "1000");
    parsed.expect_empty("train, test");
    return {nn::minima({.size = train, .seed = seed}),
            nn::minima({.size = test, .seed = seed, .test = true})};
  }
  if (name == "folder") return load_folder(parsed, data_dir, seed);
  std::vector<std::string> names;
  for (const DataDescription& d : data_list()) names.push_back(d.name);
  throw ValueError(concat("data: there is no data set ", name, ". Did you mean ",
                          nearest(name, names), "? All of them: slope info data."));
}

std::vector<std::string> class_labels(const nn::Dataset& data) {
  std::vector<std::string> names = data.class_names;
  for (auto k = static_cast<int64_t>(names.size()); k < data.classes; ++k)
    names.push_back(std::to_string(k));
  return names;
}

}  // namespace slope::program
