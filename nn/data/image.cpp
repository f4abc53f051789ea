#include "nn/data/image.h"

#include <zlib.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <string_view>

#include "core/error.h"
#include "nn/data/byte_stream.h"

namespace {

// stb_image takes memory as a file's content asks for it. This is the most it gets in one piece.
thread_local size_t largest_piece = 0;

void* limited_malloc(size_t size) { return size <= largest_piece ? std::malloc(size) : nullptr; }
void* limited_realloc(void* old, size_t size) {
  return size <= largest_piece ? std::realloc(old, size) : nullptr;
}

}  // namespace

#define STBI_MALLOC(size) limited_malloc(size)
#define STBI_REALLOC(old, size) limited_realloc(old, size)
#define STBI_FREE(old) std::free(old)
#define STBI_ONLY_PNG
#define STBI_ONLY_JPEG
#define STBI_ONLY_BMP
#define STBI_ONLY_PNM
#define STBI_NO_STDIO
#define STBI_NO_LINEAR
#define STBI_NO_HDR
#define STB_IMAGE_STATIC
#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_RESIZE_STATIC
#define STB_IMAGE_RESIZE_IMPLEMENTATION
#define STB_IMAGE_WRITE_STATIC
#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STBI_WRITE_NO_STDIO
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#include <stb_image.h>
#include <stb_image_resize.h>
#include <stb_image_write.h>
#pragma GCC diagnostic pop

namespace slope::nn {
namespace {

constexpr size_t kLargestFile = size_t{64} << 20;
constexpr int64_t kLongestSide = 16384, kMostPixels = int64_t{1} << 26;

// A file under suspicion.
struct File {
  std::string name;
  std::vector<uint8_t> bytes;

  bool starts_with(std::string_view magic) const {
    return bytes.size() >= magic.size() &&
           std::memcmp(bytes.data(), magic.data(), magic.size()) == 0;
  }
  size_t little_endian(size_t at, size_t count) const {
    size_t value = 0;
    for (size_t i = count; i-- > 0;) value = value << 8 | bytes[at + i];
    return value;
  }
  size_t big_endian(size_t at, size_t count = 4) const {
    size_t value = 0;
    for (size_t i = 0; i < count; ++i) value = value << 8 | bytes[at + i];
    return value;
  }
  [[noreturn]] void fail(const std::string& what) const {
    throw DataError(concat(name, ": ", what, "."));
  }
};

void check_size(const File& file, int64_t width, int64_t height) {
  if (width < 1 || height < 1 || width > kLongestSide || height > kLongestSide ||
      width * height > kMostPixels) {
    file.fail(concat("a picture of ", width, " x ", height, " pixels; at most ", kLongestSide,
                     " along a side and ", kMostPixels, " in all are read"));
  }
}

// Every chunk is whole and has the right checksum, up to the one that ends the file: stb_image
// reads over both kinds of damage.
void check_png(const File& file) {
  for (size_t at = 8;;) {
    if (file.bytes.size() < at + 12) file.fail(concat("truncated at offset ", file.bytes.size()));
    const size_t length = file.big_endian(at);
    if (length > file.bytes.size() - at - 12)
      file.fail(concat("truncated: the chunk at offset ", at, " has ", length, " bytes"));
    const auto sum = crc32(0, file.bytes.data() + at + 4, static_cast<uInt>(length + 4));
    if (sum != file.big_endian(at + 8 + length))
      file.fail(concat("damaged: the chunk at offset ", at, " has a wrong checksum"));
    // Stb_image calls a picture that is too large for it damaged.
    if (at == 8 && length >= 8 && std::memcmp(file.bytes.data() + at + 4, "IHDR", 4) == 0)
      check_size(file, static_cast<int64_t>(file.big_endian(16)),
                 static_cast<int64_t>(file.big_endian(20)));
    if (std::memcmp(file.bytes.data() + at + 4, "IEND", 4) == 0) return;
    at += 12 + length;
  }
}

// The Huffman tables that begin behind the marker at `at`: each has up to 256 codes. Stb_image
// writes the codes of larger ones over other memory (before version 2.28).
void check_huffman_tables(const File& file, size_t at) {
  const size_t end = std::min(at + 2 + file.big_endian(at + 2, 2), file.bytes.size());
  for (at += 4; at + 17 <= end;) {
    size_t codes = 0;
    for (size_t i = 1; i <= 16; ++i) codes += file.bytes[at + i];
    if (codes > 256)
      file.fail(concat("damaged: the Huffman table at offset ", at, " has ", codes, " codes"));
    at += 17 + codes;
  }
}

void check_jpeg(const File& file) {
  const auto last = [&](uint8_t marker) -> size_t {
    for (size_t i = file.bytes.size(); i-- > 1;) {
      if (file.bytes[i - 1] == 0xff && file.bytes[i] == marker) return i;
    }
    return 0;
  };
  constexpr uint8_t kEnd = 0xd9, kScan = 0xda, kTables = 0xc4;
  // The end marker comes after the last scan: stb_image fills what is missing with grey.
  if (last(kEnd) <= last(kScan)) file.fail("truncated: it has no end marker");
  // From segment to segment up to the first scan; in its packed values, and wherever the order of
  // segments is lost, every place that looks like tables is taken for some.
  bool segments = true;
  for (size_t at = 2; at + 4 <= file.bytes.size();) {
    if (file.bytes[at] != 0xff || file.bytes[at + 1] == 0xff) {
      ++at;
      continue;
    }
    const uint8_t marker = file.bytes[at + 1];
    if (marker == kTables) check_huffman_tables(file, at);
    segments &= marker >= 0xc0 && marker != kScan && (marker < 0xd0 || marker > kEnd);
    at += segments ? 2 + file.big_endian(at + 2, 2) : 1;
  }
}

// stb_image reads zeros after the end of these two.
void check_bmp(const File& file, int64_t width, int64_t height) {
  if (file.bytes.size() < 30) file.fail("truncated");
  const size_t row = (static_cast<size_t>(width) * file.little_endian(28, 2) + 31) / 32 * 4;
  if (file.bytes.size() < file.little_endian(10, 4) + row * static_cast<size_t>(height))
    file.fail(concat("truncated at offset ", file.bytes.size()));
}
struct PnmHeader {
  size_t width = 0, height = 0, largest = 0;
  size_t end = 0;  // of the last number; one blank and the values follow
};
// P5 or P6, three numbers, between them blanks and comments. Large numbers, which overflow inside
// stb_image, are refused before it sees them.
PnmHeader read_pnm_header(const File& file) {
  PnmHeader header;
  size_t at = 2;
  for (size_t* number : {&header.width, &header.height, &header.largest}) {
    while (at < file.bytes.size() && !std::isdigit(file.bytes[at])) {
      if (file.bytes[at] == '#')
        while (at < file.bytes.size() && file.bytes[at] != '\n') ++at;
      else
        ++at;
    }
    for (; at < file.bytes.size() && std::isdigit(file.bytes[at]); ++at) {
      *number = 10 * *number + (file.bytes[at] - '0');
      if (*number > 1'000'000) file.fail("its header is damaged: a number above a million");
    }
  }
  header.end = at;
  return header;
}
void check_pnm(const File& file, const PnmHeader& header, int64_t width, int64_t height,
               int channels) {
  const auto values = static_cast<size_t>(width * height * channels);
  if (file.bytes.size() < header.end + 1 + values * (header.largest > 255 ? 2 : 1))
    file.fail(concat("truncated at offset ", file.bytes.size()));
}

}  // namespace

bool has_image_name(const std::filesystem::path& path) {
  std::string end = path.extension().string();
  std::transform(end.begin(), end.end(), end.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  constexpr std::string_view kEnds[] = {".png", ".jpg", ".jpeg", ".bmp", ".pgm", ".ppm"};
  return std::find(std::begin(kEnds), std::end(kEnds), end) != std::end(kEnds);
}

Image read_image(const std::filesystem::path& path, int64_t channels) {
  if (channels != 1 && channels != 3)
    throw ValueError(concat("image: channels must be 1 or 3, got ", channels, "."));
  const auto stream = open_file(path);
  File file{path.string(), stream->read_up_to(kLargestFile)};
  if (!stream->at_end()) file.fail(concat("more than ", kLargestFile, " bytes"));
  if (file.bytes.empty()) file.fail("an empty file");
  const bool png = file.starts_with("\x89PNG\r\n\x1a\n"), jpeg = file.starts_with("\xff\xd8"),
             bmp = file.starts_with("BM"), pnm = file.starts_with("P5") || file.starts_with("P6");
  if (!png && !jpeg && !bmp && !pnm) file.fail("not a picture in PNG, JPEG, BMP or PNM format");
  if (png) check_png(file);
  if (jpeg) check_jpeg(file);
  const PnmHeader pnm_header = pnm ? read_pnm_header(file) : PnmHeader{};

  int width = 0, height = 0, file_channels = 0;
  const auto size = static_cast<int>(file.bytes.size());
  largest_piece = size_t{1} << 20;
  if (!stbi_info_from_memory(file.bytes.data(), size, &width, &height, &file_channels))
    file.fail(concat("its header is damaged: ", stbi_failure_reason()));
  check_size(file, width, height);
  if (bmp) check_bmp(file, width, height);
  if (pnm) check_pnm(file, pnm_header, width, height, file_channels);

  // Four channels of 16 bits, padded to JPEG's blocks, with room for a buffer that grows by
  // doubling.
  largest_piece = 2 * file.bytes.size() +
                  16 * (static_cast<size_t>(width) + 64) * (static_cast<size_t>(height) + 64);
  const std::unique_ptr<uint8_t, void (*)(void*)> pixels(
      stbi_load_from_memory(file.bytes.data(), size, &width, &height, &file_channels,
                            static_cast<int>(channels)),
      stbi_image_free);
  if (!pixels) {
    const std::string reason = stbi_failure_reason();
    file.fail(reason == "outofmem"
                  ? concat("unpacks to more than a picture of ", width, " x ", height, " holds")
                  : "damaged: " + reason);
  }
  Image image{.height = height, .width = width, .channels = channels, .pixels = {}};
  image.pixels.assign(pixels.get(), pixels.get() + image.height * image.width * channels);
  return image;
}

Image resized(const Image& image, int64_t height, int64_t width) {
  if (height < 1 || width < 1 || height > kLongestSide || width > kLongestSide) {
    throw ValueError(concat("image: cannot be resized to ", height, " x ", width,
                            "; sides are 1 to ", kLongestSide, "."));
  }
  Image out{.height = height, .width = width, .channels = image.channels, .pixels = {}};
  out.pixels.resize(static_cast<size_t>(height * width * image.channels));
  // Triangles as wide as the coarser of the two grids.
  if (!stbir_resize_uint8_generic(
          image.pixels.data(), static_cast<int>(image.width), static_cast<int>(image.height), 0,
          out.pixels.data(), static_cast<int>(width), static_cast<int>(height), 0,
          static_cast<int>(image.channels), STBIR_ALPHA_CHANNEL_NONE, 0, STBIR_EDGE_CLAMP,
          STBIR_FILTER_TRIANGLE, STBIR_COLORSPACE_LINEAR, nullptr))
    throw std::bad_alloc();
  return out;
}

void write_png(const std::filesystem::path& path, const Image& image) {
  std::string bytes;
  const auto append = [](void* to, void* data, int size) {
    static_cast<std::string*>(to)->append(static_cast<const char*>(data),
                                          static_cast<size_t>(size));
  };
  const bool done =
      stbi_write_png_to_func(append, &bytes, static_cast<int>(image.width),
                             static_cast<int>(image.height), static_cast<int>(image.channels),
                             image.pixels.data(), static_cast<int>(image.width * image.channels));
  std::ofstream out(path, std::ios::binary);
  out << bytes;
  out.close();
  if (!done || !out) throw DataError(path.string() + ": cannot be written.");
}

}  // namespace slope::nn
