// Pictures in files and folders of pictures: good ones, and every kind of bad one.
#include "nn/data/image.h"

#include <zlib.h>

#include "core/random.h"
#include "nn/data/image_folder.h"
#include "tests/nn/data/archives.h"
#include "tests/nn/message_of.h"
#include "tests/nn/scratch_folder.h"
#include "tests/paths.h"

using namespace slope;
using namespace slope::nn;
using namespace slope::test;

namespace {

// Pixel (y, x) is (10 x, 15 y, 128), or 10 x.
Image gradient(int64_t height, int64_t width, int64_t channels) {
  Image image{.height = height, .width = width, .channels = channels, .pixels = {}};
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      const int64_t values[3] = {10 * x, 15 * y, 128};
      for (int64_t c = 0; c < channels; ++c)
        image.pixels.push_back(static_cast<uint8_t>(values[c]));
    }
  }
  return image;
}

std::string big_endian(size_t n) {
  return {static_cast<char>(n >> 24), static_cast<char>(n >> 16), static_cast<char>(n >> 8),
          static_cast<char>(n)};
}

std::string chunk(const std::string& type, const std::string& data) {
  const std::string body = type + data;
  return big_endian(data.size()) + body +
         big_endian(
             crc32(0, reinterpret_cast<const Bytef*>(body.data()), static_cast<uInt>(body.size())));
}

std::string zlib(const std::string& bytes) {
  uLongf size = compressBound(bytes.size());
  std::string packed(size, '\0');
  REQUIRE(compress(reinterpret_cast<Bytef*>(packed.data()), &size,
                   reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()) == Z_OK);
  packed.resize(size);
  return packed;
}

// A grey PNG that says it has this size, with these bytes as its (unpacked) rows.
std::string png(size_t width, size_t height, const std::string& rows) {
  return "\x89PNG\r\n\x1a\n" +
         chunk("IHDR", big_endian(width) + big_endian(height) + std::string("\x08\0\0\0\0", 5)) +
         chunk("IDAT", zlib(rows)) + chunk("IEND", "");
}

// 24 bits a pixel, rows from the bottom.
std::string bmp(const Image& image) {
  const auto little = [](size_t n, int bytes) {
    std::string text;
    for (int i = 0; i < bytes; ++i) text += static_cast<char>(n >> (8 * i));
    return text;
  };
  std::string rows;
  for (int64_t y = image.height; y-- > 0;) {
    std::string row;
    for (int64_t x = 0; x < image.width; ++x) {
      for (int64_t c = 3; c-- > 0;)
        row += static_cast<char>(image.pixels[static_cast<size_t>((y * image.width + x) * 3 + c)]);
    }
    row.resize((row.size() + 3) / 4 * 4);
    rows += row;
  }
  return "BM" + little(54 + rows.size(), 4) + little(0, 4) + little(54, 4) + little(40, 4) +
         little(static_cast<size_t>(image.width), 4) +
         little(static_cast<size_t>(image.height), 4) + little(1, 2) + little(24, 2) +
         std::string(24, '\0') + rows;
}

std::string refusal(const std::string& bytes) {
  const ScratchFolder folder;
  write_bytes(folder / "picture", bytes);
  std::string text = message_of<DataError>([&] { read_image(folder / "picture", 3); });
  return text.substr(text.find("picture: "));
}

}  // namespace

TEST_CASE("image: PNG, BMP and PNM come back to the byte, in grey or colour") {
  const ScratchFolder folder;
  const Image color = gradient(5, 7, 3), grey = gradient(5, 7, 1);
  write_png(folder / "a.png", color);
  write_bytes(folder / "a.bmp", bmp(color));
  write_bytes(folder / "a.ppm",
              "P6 7 5 255\n" + std::string(color.pixels.begin(), color.pixels.end()));
  for (const char* name : {"a.png", "a.bmp", "a.ppm"}) {
    CAPTURE(name);
    const Image image = read_image(folder / name, 3);
    CHECK(image.height == 5);
    CHECK(image.width == 7);
    CHECK(image.channels == 3);
    CHECK(image.pixels == color.pixels);
    const Image mixed = read_image(folder / name, 1);
    REQUIRE(mixed.pixels.size() == 35);
    // (0.3, 0.59, 0.11) of (60, 60, 128)
    CHECK(std::abs(mixed.pixels[4 * 7 + 6] - 68) <= 2);
  }
  write_png(folder / "g.png", grey);
  CHECK(read_image(folder / "g.png", 1).pixels == grey.pixels);
  const Image spread = read_image(folder / "g.png", 3);
  for (size_t i = 0; i < 105; ++i) CHECK(spread.pixels[i] == grey.pixels[i / 3]);
  CHECK_THROWS_AS(read_image(folder / "g.png", 4), ValueError);
}

TEST_CASE("image: JPEG") {
  const Image image = read_image(test::source_dir() + "/tests/nn/data/gradient.jpg", 3);
  const Image wanted = gradient(16, 24, 3);
  REQUIRE(image.pixels.size() == wanted.pixels.size());
  int largest = 0;
  for (size_t i = 0; i < image.pixels.size(); ++i)
    largest = std::max(largest, std::abs(image.pixels[i] - wanted.pixels[i]));
  CHECK(largest <= 12);  // what JPEG loses
}

TEST_CASE("image: resizing takes means and interpolates") {
  Image image{
      .height = 2, .width = 4, .channels = 1, .pixels = {0, 100, 200, 200, 0, 100, 200, 200}};
  CHECK(resized(image, 2, 4).pixels == image.pixels);
  Image flat = gradient(8, 8, 3);
  std::fill(flat.pixels.begin(), flat.pixels.end(), uint8_t{77});
  for (const uint8_t v : resized(flat, 3, 5).pixels) CHECK(v == 77);
  const Image half = resized(gradient(8, 8, 1), 4, 4);
  for (size_t i = 0; i < 16; ++i)
    CHECK(std::abs(half.pixels[i] - static_cast<int>(5 + 20 * (i % 4))) <= 2);
  CHECK_THROWS_AS(resized(image, 0, 4), ValueError);
}

TEST_CASE("image: bad files") {
  const std::string row = std::string("\0\x01\x02\x03", 4);
  CHECK(refusal("") == "picture: an empty file.");
  CHECK(refusal("text") == "picture: not a picture in PNG, JPEG, BMP or PNM format.");
  CHECK(
      contains(refusal(png(20'000, 2, row)), "a picture of 20000 x 2 pixels; at most 16384 along"));
  CHECK(contains(refusal(png(60'000, 60'000, row)), "a picture of 60000 x 60000 pixels"));
  CHECK(contains(refusal(png(10'000, 10'000, row)), "67108864 in all are read"));
  // Two bombs: a small picture whose content unpacks to 100 MB, and a huge one with no content.
  CHECK(refusal(png(3, 1, std::string(100'000'000, '\0'))) ==
        "picture: unpacks to more than a picture of 3 x 1 holds.");
  CHECK(contains(refusal(png(8000, 8000, row)), "picture: damaged: "));
  CHECK(contains(refusal(png(0, 5, row)), "picture: "));
  CHECK(contains(refusal(png(0xffffffff, 0xffffffff, row)), "picture: "));
  std::string damaged = png(3, 1, row);
  damaged[45] = static_cast<char>(damaged[45] ^ 1);
  CHECK(refusal(damaged) == "picture: damaged: the chunk at offset 33 has a wrong checksum.");
  std::string jpeg = read_bytes(test::source_dir() + "/tests/nn/data/gradient.jpg");
  const size_t tables = jpeg.find("\xff\xc4");
  REQUIRE(tables < jpeg.size());
  jpeg.replace(tables + 5, 2, "\xff\xff");  // 255 codes of one bit, 255 of two
  CHECK(contains(refusal(jpeg), concat("the Huffman table at offset ", tables + 4, " has 5")));
  CHECK(contains(refusal("P6 100 100 255\nabc"), "truncated at offset 18"));
  CHECK(contains(refusal("P6 -5 100 255\nabc"), "picture: "));
  CHECK(contains(refusal("P5 99999999999 100 255\nabc"), "a number above a million"));
}

TEST_CASE("image: cut off anywhere, a picture is refused") {
  const ScratchFolder folder;
  write_png(folder / "a.png", gradient(5, 7, 3));
  const std::string files[] = {read_bytes(folder / "a.png"), bmp(gradient(5, 7, 3)),
                               read_bytes(test::source_dir() + "/tests/nn/data/gradient.jpg"),
                               "P6 # made up\n 2 2 255\nabcdefghijkl"};
  for (const std::string& whole : files) {
    for (size_t size = 0; size < whole.size(); size += 3) {
      CAPTURE(size);
      write_bytes(folder / "cut", whole.substr(0, size));
      CHECK_THROWS_AS(read_image(folder / "cut", 3), DataError);
    }
  }
}

TEST_CASE("image: damaged at random, a picture is an error or a picture of its size") {
  const ScratchFolder folder;
  const std::string files[] = {png(3, 2, std::string("\0abc\0def", 8)), bmp(gradient(5, 7, 3)),
                               read_bytes(test::source_dir() + "/tests/nn/data/gradient.jpg"),
                               "P6 2 2 255\nabcdefghijkl"};
  Rng rng(5);
  for (const std::string& whole : files) {
    for (int i = 0; i < 300; ++i) {
      std::string damaged = whole;
      for (int k = 0; k < 2; ++k)
        damaged[rng.below(damaged.size())] = static_cast<char>(rng.below(256));
      write_bytes(folder / "damaged", damaged);
      try {
        const Image image = read_image(folder / "damaged", 3);
        CHECK(image.pixels.size() == static_cast<size_t>(image.height * image.width * 3));
      } catch (const DataError& error) {
        CHECK(contains(error.what(), "damaged: "));
      }
    }
  }
}

TEST_CASE("image folder: classes and pictures in the order of their names") {
  const ScratchFolder folder;
  for (const char* name : {"b", "a", ".hidden"}) std::filesystem::create_directory(folder / name);
  write_png(folder / "b/2.PNG", gradient(4, 6, 3));
  write_png(folder / "b/1.png", gradient(4, 6, 1));
  write_bytes(folder / "a/x.bmp", bmp(gradient(4, 6, 3)));
  write_bytes(folder / "a/readme.txt", "no picture");
  write_bytes(folder / "a/.x.png", "no picture");
  const Dataset data = read_image_folder(folder / "", {}, "mine");
  CHECK(data.class_names == std::vector<std::string>{"a", "b"});
  CHECK(data.labels == std::vector<int32_t>{0, 1, 1});
  CHECK(data.sample == Shape{4, 6, 3});
  CHECK(std::vector<uint8_t>(data.pixels.begin(), data.pixels.begin() + 72) ==
        gradient(4, 6, 3).pixels);
  CHECK(data.pixels[72 + 3 + 1] == 10);  // the grey one as three equal channels
  CHECK(read_image_folder(folder / "", {.channels = 1}, "mine").sample == Shape{4, 6, 1});

  write_png(folder / "b/3.png", gradient(5, 6, 3));
  const std::string text =
      message_of<DataError>([&] { read_image_folder(folder / "", {}, "mine"); });
  CHECK(
      text.ends_with("b/3.png: 5 x 6 pixels, the first picture has 4 x 6. Add size=4x6 to resize "
                     "all."));
  CHECK(read_image_folder(folder / "", {.height = 3, .width = 2}, "mine").sample == Shape{3, 2, 3});

  std::filesystem::create_directory(folder / "c");
  CHECK(message_of<DataError>([&] { read_image_folder(folder / "", {}, "mine"); })
            .ends_with("b/3.png: 5 x 6 pixels, the first picture has 4 x 6. Add size=4x6 to resize "
                       "all."));
  std::filesystem::remove(folder / "b/3.png");
  CHECK(message_of<DataError>([&] {
          read_image_folder(folder / "", {}, "mine");
        }).ends_with("c: no pictures (PNG, JPEG, BMP, PNM)."));
  CHECK(contains(message_of<DataError>([&] { read_image_folder(folder / "c", {}, "mine"); }),
                 "no sub-folders"));
  CHECK(contains(message_of<DataError>([&] { read_image_folder(folder / "none", {}, "mine"); }),
                 "cannot be read: No such file or directory"));
  write_bytes(folder / "c/bad.jpg", "\xff\xd8 and nothing more");
  CHECK(message_of<DataError>([&] {
          read_image_folder(folder / "", {}, "mine");
        }).ends_with("c/bad.jpg: truncated: it has no end marker."));
}
