// Pictures in files: PNG, JPEG, BMP and binary PNM as bytes, and back as PNG.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

namespace slope::nn {

struct Image {
  int64_t height = 0, width = 0, channels = 0;
  std::vector<uint8_t> pixels;  // (height, width, channels)
};

// True for names that end in .png, .jpg, .jpeg, .bmp, .pgm or .ppm, in either case.
bool has_image_name(const std::filesystem::path& path);

// channels: 1 (grey) or 3 (RGB), whatever the file has; transparency is dropped. Errors, all
// DataError with the file: not one of these formats, cut off, a wrong checksum (PNG), more than
// 16384 pixels along a side or 64 million in all, content that unpacks to more than such a picture
// holds. Sizes are checked before memory is taken.
Image read_image(const std::filesystem::path& path, int64_t channels);

// Smaller: the mean of the pixels that fall together, larger: interpolated.
Image resized(const Image& image, int64_t height, int64_t width);

// Cannot be written: DataError.
void write_png(const std::filesystem::path& path, const Image& image);

}  // namespace slope::nn
