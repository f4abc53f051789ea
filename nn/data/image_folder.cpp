#include "nn/data/image_folder.h"

#include <algorithm>

#include "nn/data/image.h"

namespace slope::nn {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMostBytes = size_t{4} << 30;

// What lies in a folder and is wanted, by name.
template <typename Wanted>
std::vector<fs::path> sorted_entries(const fs::path& folder, Wanted wanted) {
  std::vector<fs::path> list;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (!entry.path().filename().string().starts_with('.') && wanted(entry))
      list.push_back(entry.path());
  }
  if (error) throw DataError(concat(folder.string(), ": cannot be read: ", error.message(), "."));
  std::sort(list.begin(), list.end());
  return list;
}

}  // namespace

Dataset read_image_folder(const fs::path& folder, const ImageFolderOptions& options,
                          const std::string& name) {
  const std::vector<fs::path> classes =
      sorted_entries(folder, [](const fs::directory_entry& e) { return e.is_directory(); });
  if (classes.empty()) {
    throw DataError(concat(folder.string(),
                           ": no sub-folders. Put the pictures of each class into a sub-folder of "
                           "its own."));
  }
  Dataset data{.name = name,
               .sample = {},
               .classes = static_cast<int64_t>(classes.size()),
               .pixels = {},
               .points = {},
               .labels = {}};
  const bool resize = options.height > 0 && options.width > 0;
  if (resize) data.sample = {options.height, options.width, options.channels};
  for (size_t label = 0; label < classes.size(); ++label) {
    data.class_names.push_back(classes[label].filename().string());
    const std::vector<fs::path> pictures =
        sorted_entries(classes[label], [](const fs::directory_entry& e) {
          return e.is_regular_file() && has_image_name(e.path());
        });
    if (pictures.empty())
      throw DataError(concat(classes[label].string(), ": no pictures (PNG, JPEG, BMP, PNM)."));
    for (const fs::path& path : pictures) {
      Image image = read_image(path, options.channels);
      if (data.sample.rank() == 0) data.sample = {image.height, image.width, image.channels};
      if (image.height != data.sample[0] || image.width != data.sample[1]) {
        if (!resize) {
          throw DataError(concat(path.string(), ": ", image.height, " x ", image.width,
                                 " pixels, the first picture has ", data.sample[0], " x ",
                                 data.sample[1], ". Add size=", data.sample[0], "x", data.sample[1],
                                 " to resize all."));
        }
        image = resized(image, data.sample[0], data.sample[1]);
      }
      if (data.pixels.size() + image.pixels.size() > kMostBytes) {
        throw DataError(concat(folder.string(), ": more than ", kMostBytes,
                               " bytes of pixels. Add a smaller size=HxW to resize all."));
      }
      data.pixels.insert(data.pixels.end(), image.pixels.begin(), image.pixels.end());
      data.labels.push_back(static_cast<int32_t>(label));
    }
  }
  return data;
}

}  // namespace slope::nn
