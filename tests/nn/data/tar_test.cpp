// Tar archives: paths of every kind, and every kind of bad archive.
#include "nn/data/tar.h"

#include "core/random.h"
#include "tests/nn/data/archives.h"
#include "tests/nn/message_of.h"

using namespace slope;
using namespace slope::nn;
using namespace slope::test;

namespace {

// "path=content;" for each file.
std::string listing(const std::string& archive) {
  const auto stream = open_bytes(archive, "a.tar");
  TarReader tar(*stream);
  std::string text;
  while (ByteStream* file = tar.next()) {
    const std::vector<uint8_t> bytes = file->read_up_to(1 << 20);
    text += tar.path() + "=" + std::string(bytes.begin(), bytes.end()) + ";";
  }
  return text;
}

std::string refusal(const std::string& archive) {
  return message_of<DataError>([&] { listing(archive); });
}

std::string pax(const std::string& record) {
  // The length counts its own digits.
  size_t n = record.size() + 3;
  while (std::to_string(n).size() + record.size() + 2 > n) ++n;
  return std::to_string(n) + " " + record + "\n";
}

const std::string kAbc = tar_entry("abc", "content of abc");

}  // namespace

TEST_CASE("tar: files in order; folders, links and devices are passed over") {
  CHECK(listing(kAbc + kTarEnd) == "abc=content of abc;");
  CHECK(listing(kAbc) == "abc=content of abc;");  // some writers leave the end out
  const std::string big(5000, 'x');
  CHECK(listing(tar_entry("d/", "", '5') + tar_entry("d/b", big) + tar_entry("d/e", "") + kAbc +
                kTarEnd + "whatever follows") == "d/b=" + big + ";d/e=;abc=content of abc;");
  CHECK(listing(tar_header("link", octal(14), '1') + tar_header("soft", octal(0), '2') +
                tar_header("null", octal(0), '3') + kAbc + kTarEnd) == "abc=content of abc;");
}

TEST_CASE("tar: what is not read of a file is skipped") {
  const std::string archive = tar_entry("a", std::string(2000, 'a')) + kAbc + kTarEnd;
  const auto stream = open_bytes(archive, "a.tar");
  TarReader tar(*stream);
  tar.next()->read_up_to(3);
  ByteStream* second = tar.next();
  REQUIRE(second);
  CHECK(second->name() == "a.tar: abc");
  CHECK(tar.next() == nullptr);
}

TEST_CASE("tar: long paths of ustar, GNU and pax, sizes in octal, binary and pax") {
  const std::string path = "a/long/" + std::string(150, 'p') + "/file";
  CHECK(listing(tar_entry("file", "x", '0', "a/prefix") + kTarEnd) == "a/prefix/file=x;");
  CHECK(listing(tar_entry("././@LongLink", path + '\0', 'L') + tar_entry("a/long", "x") + kAbc) ==
        path + "=x;abc=content of abc;");
  CHECK(listing(tar_entry("pax", pax("mtime=1.5") + pax("path=" + path), 'x') +
                tar_entry("short", "x") + kAbc) == path + "=x;abc=content of abc;");
  CHECK(listing(tar_entry("pax_global_header", pax("comment=c"), 'g') + kAbc) ==
        "abc=content of abc;");
  CHECK(listing(tar_header("b", std::string("\x80\0\0\0\0\0\0\0\0\0\0\x03", 12)) + padded("xyz")) ==
        "b=xyz;");
  CHECK(listing(tar_entry("pax", pax("size=3"), 'x') + tar_header("b", octal(0)) + padded("xyz") +
                kAbc) == "b=xyz;abc=content of abc;");
}

TEST_CASE("tar: bad archives") {
  CHECK(refusal("") ==
        "a.tar: not a tar archive: truncated: 0 bytes at offset 0 where a header of "
        "512 belongs.");
  CHECK(
      refusal(std::string(600, 'x')) ==
      "a.tar: tar header at offset 0: its checksum is wrong: not a tar archive, nor one packed by "
      "gzip or xz.");
  CHECK(
      refusal(gzip(std::string(600, 'x'))) ==
      "a.tar: tar header at offset 0: its checksum is wrong: what is packed is not a tar archive.");
  CHECK(refusal(kAbc + std::string(600, 'x')) ==
        "a.tar: tar header at offset 1024: its checksum is wrong.");
  CHECK(refusal(kAbc + kAbc.substr(0, 100)) ==
        "a.tar: truncated: 100 bytes at offset 1024 where a header of 512 belongs.");
  CHECK(refusal(tar_header("b", octal(100)) + "xyz") ==
        "a.tar: truncated at offset 515, 97 bytes before the end of a.tar: b.");
  for (const char* path : {"../b", "a/../../b", "/etc/passwd", "a/.."}) {
    CHECK(
        refusal(tar_entry(path, "x") + kTarEnd) ==
        concat("a.tar: tar header at offset 0: the path \"", path, "\" leads out of the archive."));
  }
  CHECK(contains(refusal(tar_entry("l", std::string("../b\0", 5), 'L') + kAbc), "../b"));
  CHECK(contains(refusal(tar_entry("", "x")), "leads out"));
  for (const std::string size : {"-0000000001", "00000000089", "", "12 34"}) {
    CHECK(refusal(tar_header("b", size) + kTarEnd) ==
          "a.tar: tar header at offset 0: its size is no sound number.");
  }
  CHECK(contains(refusal(tar_header("b", std::string(12, '\xff'))), "size is no sound number"));
  CHECK(contains(refusal(tar_header("b", "\x80" + std::string(11, '\x7f'))), "size is no sound"));
  CHECK(contains(refusal(tar_header("l", octal(1 << 30), 'L')), "a path or attribute of"));
  for (const std::string record : {"5 a=b", "999 a=b\n", "x", "-5 a=b\n", "2 \n", "6 a=b\n\n"})
    CHECK(contains(refusal(tar_entry("p", record, 'x') + kAbc), "pax records are malformed"));
  CHECK(contains(refusal(tar_entry("p", pax("size=-3"), 'x') + kAbc), "pax size is no sound"));
}

TEST_CASE("tar: cut off or damaged anywhere, an archive gives an error or the right files") {
  const std::string whole = tar_entry("l", std::string("long\0", 5), 'L') + kAbc +
                            tar_entry("p", pax("path=other"), 'x') + kAbc + kTarEnd;
  for (size_t size = 0; size < whole.size() - kTarEnd.size(); ++size) {
    try {
      const std::string text = listing(whole.substr(0, size));
      CAPTURE(size);
      CHECK((size % 512 == 0 && std::string("long=content of abc;other=")
                                    .starts_with(text.substr(0, text.find(";") + 1))));
    } catch (const DataError&) {
    }
  }
  Rng rng(11);
  int accepted = 0;
  for (int i = 0; i < 4000; ++i) {
    std::string damaged = whole;
    for (int k = 0; k < 3; ++k)
      damaged[rng.below(damaged.size())] = static_cast<char>(rng.below(256));
    try {
      listing(damaged);
      ++accepted;  // paddings and contents
    } catch (const DataError& error) {
      CHECK(std::string(error.what()).starts_with("a.tar: "));
    }
  }
  CHECK(accepted > 0);
  CHECK(accepted < 4000);
}
