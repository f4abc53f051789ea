// A folder of pictures as a data set: one sub-folder per class.
#pragma once

#include <filesystem>

#include "nn/data/dataset.h"

namespace slope::nn {

struct ImageFolderOptions {
  int64_t height = 0,
          width = 0;     // pictures are resized to this; 0: all must have the first one's size
  int64_t channels = 3;  // 1: grey, 3: RGB
};
// Classes are the sub-folders in the order of their names, samples the pictures of each in the
// order of theirs; files that are no pictures by their name (has_image_name) and hidden ones are
// passed over.
// -> samples (H, W, C). Errors, all DataError: no folder, no sub-folders, a sub-folder without
// pictures, a picture of another size (unless they are resized), pictures that cannot be read, more
// than 4 GiB.
Dataset read_image_folder(const std::filesystem::path& folder, const ImageFolderOptions& options,
                          const std::string& name);

}  // namespace slope::nn
