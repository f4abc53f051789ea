// Files as streams of bytes: plain, gzip and xz give the same; damaged ones are refused.
#include "nn/data/byte_stream.h"

#include "core/error.h"
#include "tests/nn/data/archives.h"
#include "tests/nn/message_of.h"
#include "tests/nn/scratch_folder.h"

using namespace slope;
using namespace slope::nn;
using namespace slope::test;

namespace {

std::string text_of(ByteStream& stream, size_t step) {
  std::string text;
  std::vector<uint8_t> buffer(step);
  for (size_t got = step; got == step;) {
    got = stream.read(buffer);
    text.append(buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(got));
  }
  return text;
}

std::string long_text() {
  std::string text;
  for (int i = 0; i < 200'000; ++i) text += std::to_string(i % 1009 * 77) + "\n";
  return text;
}

}  // namespace

TEST_CASE("ByteStream: plain, gzip and xz, from a file and from memory, in steps of any size") {
  const ScratchFolder folder;
  const std::string text = long_text();
  for (const std::string& stored :
       {text, gzip(text), xz(text), gzip(text.substr(0, 1000)) + gzip(text.substr(1000)),
        xz(text.substr(0, 7)) + xz(text.substr(7))}) {
    write_bytes(folder / "file", stored);
    for (const size_t step : {size_t{511}, size_t{1} << 20}) {
      const auto file = open_file(folder / "file"), memory = open_bytes(stored, "memory");
      CHECK(text_of(*file, step) == text);
      CHECK(text_of(*memory, step) == text);
      CHECK(file->offset() == text.size());
      CHECK(file->at_end());
    }
  }
  const auto empty = open_bytes("", "nothing");
  CHECK(empty->at_end());
  CHECK(empty->read_up_to(10).empty());
}

TEST_CASE("ByteStream: at_end does not lose a byte") {
  const auto stream = open_bytes("abc", "memory");
  CHECK_FALSE(stream->at_end());
  CHECK(stream->offset() == 0);
  const std::vector<uint8_t> bytes = stream->read_up_to(2);
  CHECK(std::string(bytes.begin(), bytes.end()) == "ab");
  CHECK_FALSE(stream->at_end());
  CHECK(text_of(*stream, 5) == "c");
  CHECK(stream->offset() == 3);
}

TEST_CASE("ByteStream: packed files that are cut off or damaged") {
  const std::string text = long_text().substr(0, 3000);
  for (const std::string& whole : {gzip(text), xz(text)}) {
    for (size_t size = 6; size < whole.size(); ++size) {
      CAPTURE(size);
      CHECK(contains(message_of<DataError>([&] {
                       text_of(*open_bytes(std::string_view(whole).substr(0, size), "made up"),
                               999);
                     }),
                     "truncated"));
    }
    int refused = 0;
    for (size_t at = 6; at < whole.size(); ++at) {
      std::string damaged = whole;
      damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
      CAPTURE(at);
      std::string found, refusal;
      try {
        found = text_of(*open_bytes(damaged, "made up"), 999);
      } catch (const DataError& error) {
        refusal = error.what();
      }
      if (refusal.empty()) {
        CHECK(found == text);  // bits of no meaning
      } else {
        CAPTURE(refusal);
        CHECK(refusal.starts_with("made up: damaged after "));
        ++refused;
      }
    }
    CHECK(refused >= static_cast<int>(whole.size()) - 12);
    CHECK(contains(
        message_of<DataError>([&] { text_of(*open_bytes(whole + "junk", "made up"), 999); }),
        "made up: damaged after 3000 bytes: "));
  }
}

TEST_CASE("ByteStream: files that cannot be read") {
  const ScratchFolder folder;
  CHECK(message_of<DataError>([&] { open_file(folder / "none"); }) ==
        (folder / "none").string() + ": cannot be opened: No such file or directory.");
  CHECK(message_of<DataError>([&] {
          open_file(folder / "");
        }).ends_with(": cannot be read: Is a directory."));
}
