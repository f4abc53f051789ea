// Checkpoints: what is written can be read back to the bit; what was not written by us is one clear
// error; a save that fails loses nothing.
#include "nn/checkpoint.h"

#include <sys/resource.h>

#include <bit>
#include <cmath>
#include <csignal>
#include <limits>
#include <nlohmann/json.hpp>

#include "core/ops.h"
#include "tests/nn/message_of.h"
#include "tests/nn/scratch_folder.h"

using namespace slope;
using namespace slope::nn;
using namespace slope::test;

namespace {

std::string eight_bytes(uint64_t length) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes += static_cast<char>(length >> (8 * i));
  return bytes;
}

// A file with this header and this many bytes of values.
std::string file_of(const std::string& header, size_t values = 0) {
  return eight_bytes(header.size()) + header + std::string(values, '\1');
}

std::vector<NamedTensor> some_tensors() {
  return {{"stem.weight", tensor({1.5, -2, 0.25, 3, -0.0, 7}, {2, 3})},
          {"labels", from_host(std::vector<int32_t>{3, -1, 2147483647}, {3})},
          {"scale", scalar(0.1, Dtype::f64)},
          {"none", tensor(std::vector<double>{}, {0, 4})}};
}

std::string valid_file() {
  const ScratchFolder folder;
  save_checkpoint(folder / "a.safetensors", some_tensors(), {{"step", "12"}});
  return read_bytes(folder / "a.safetensors");
}

// Loading this content is one DataError that begins with the file's name; its text after that.
std::string refusal(const ScratchFolder& folder, const std::string& content) {
  const std::filesystem::path path = folder / "hostile.safetensors";
  write_bytes(path, content);
  const std::string text = message_of<DataError>([&] { load_checkpoint(path); });
  CHECK(message_of<DataError>([&] { inspect_checkpoint(path); }) == text);
  CHECK(text.starts_with(path.string() + ": "));
  CHECK(text.ends_with("."));
  CHECK(text.find('\n') == std::string::npos);
  return text.substr(std::min(text.size(), path.string().size() + 2));
}

}  // namespace

TEST_CASE("checkpoint: what is saved comes back to the bit") {
  const ScratchFolder folder;
  const std::vector<uint64_t> patterns = {0,
                                          0x8000000000000000,   // -0
                                          1,                    // denormal
                                          0x7ff0000000000000,   // infinity
                                          0x7ff8000000000123,   // a NaN with a payload
                                          0x3fb999999999999a};  // 0.1
  std::vector<double> doubles;
  for (uint64_t p : patterns) doubles.push_back(std::bit_cast<double>(p));
  const std::vector<float> floats = {
      -0.0f, 1e-45f, INFINITY, std::bit_cast<float>(0x7fc00042u), 3.4028235e38f, 0.1f};
  const Tensor rows = from_host(floats, {2, 3});
  save_checkpoint(folder / "a.safetensors",
                  {{"d", from_host(doubles, {6})},
                   {"f", rows},
                   {"turned", transpose(rows)},  // a view is written row by row
                   {"i", from_host(std::vector<int32_t>{-2147483647 - 1, 5}, {2, 1})},
                   {"one", scalar(2.5)},
                   {"empty", tensor(std::vector<double>{}, {3, 0})}},
                  {{"config", "a = \"\xc3\xbc\"\n"}, {"step", "7"}});
  const Checkpoint c = load_checkpoint(folder / "a.safetensors");
  CHECK(c.metadata == Metadata{{"config", "a = \"\xc3\xbc\"\n"}, {"step", "7"}});
  REQUIRE(c.tensors.size() == 6);
  std::string names;
  for (const NamedTensor& t : c.tensors) names += t.name + " ";
  CHECK(names == "d f turned i one empty ");
  const auto d = c.find("d").to_vector<double>();
  for (size_t i = 0; i < patterns.size(); ++i) CHECK(std::bit_cast<uint64_t>(d[i]) == patterns[i]);
  const auto f = c.find("f").to_vector<float>(), turned = c.find("turned").to_vector<float>();
  for (size_t i = 0; i < 6; ++i) {
    CHECK(std::bit_cast<uint32_t>(f[i]) == std::bit_cast<uint32_t>(floats[i]));
    CHECK(std::bit_cast<uint32_t>(turned[i]) == std::bit_cast<uint32_t>(floats[i % 2 * 3 + i / 2]));
  }
  CHECK(c.find("turned").shape() == Shape{3, 2});
  CHECK(c.find("i").to_vector<int32_t>() == std::vector<int32_t>{-2147483647 - 1, 5});
  CHECK(c.find("one").shape() == Shape{});
  CHECK(c.find("one").item() == 2.5);
  CHECK(c.find("empty").shape() == Shape{3, 0});
  CHECK_FALSE(c.find("unknown").defined());
}

TEST_CASE("checkpoint: metadata that is not UTF-8 does not lose the weights") {
  const ScratchFolder folder;
  save_checkpoint(folder / "a.safetensors", some_tensors(), {{"data", "b\xff"}});
  const Checkpoint loaded = load_checkpoint(folder / "a.safetensors");
  CHECK(loaded.tensors.size() == some_tensors().size());
  CHECK(loaded.metadata.at("data") == "b\uFFFD");
}

TEST_CASE("checkpoint: the layout is that of the format") {
  const std::string bytes = valid_file();
  uint64_t length = 0;
  for (size_t i = 0; i < 8; ++i) {
    length |= static_cast<uint64_t>(static_cast<unsigned char>(bytes[i])) << (8 * i);
  }
  REQUIRE(length < bytes.size());
  CHECK(length % 8 == 0);  // the values are aligned
  const auto header = nlohmann::json::parse(bytes.substr(8, length));
  CHECK(header["__metadata__"]["step"] == "12");
  CHECK(header["stem.weight"] ==
        nlohmann::json{{"dtype", "F32"}, {"shape", {2, 3}}, {"data_offsets", {0, 24}}});
  CHECK(header["labels"]["dtype"] == "I32");
  CHECK(header["scale"] == nlohmann::json{{"dtype", "F64"},
                                          {"shape", nlohmann::json::array()},
                                          {"data_offsets", {36, 44}}});
  CHECK(header["none"]["data_offsets"] == nlohmann::json{44, 44});
  CHECK(bytes.size() == 8 + length + 44);
  CHECK(bytes.substr(8 + length, 4) == std::string("\x00\x00\xc0\x3f", 4));  // 1.5, little-endian
}

TEST_CASE("checkpoint: other dtypes can be looked at, not loaded") {
  const ScratchFolder folder;
  for (const auto& [dtype, bytes] : {std::pair{"F16", 2}, {"BF16", 2}, {"I64", 8}, {"U8", 1}}) {
    const std::string size = std::to_string(2 * bytes);
    write_bytes(folder / "a.safetensors",
                file_of(concat(R"({"a": {"dtype": ")", dtype,
                               R"(", "shape": [2], "data_offsets": [0,)", size, "]}}"),
                        static_cast<size_t>(2 * bytes)));
    const CheckpointHeader c = inspect_checkpoint(folder / "a.safetensors");
    REQUIRE(c.tensors.size() == 1);
    CHECK(c.tensors[0].dtype == dtype);
    CHECK(c.tensors[0].shape == Shape{2});
    CHECK(contains(message_of<DataError>([&] { load_checkpoint(folder / "a.safetensors"); }),
                   concat("a is ", dtype, "; slope reads F32, F64 and I32")));
  }
}

TEST_CASE("checkpoint: the header alone tells names, dtypes and shapes") {
  const ScratchFolder folder;
  save_checkpoint(folder / "a.safetensors", some_tensors(), {{"step", "12"}});
  const CheckpointHeader c = inspect_checkpoint(folder / "a.safetensors");
  REQUIRE(c.tensors.size() == 4);
  for (size_t i = 0; i < 4; ++i) {
    CHECK(c.tensors[i].name == some_tensors()[i].name);
    CHECK(c.tensors[i].dtype == name(some_tensors()[i].tensor.dtype()));
    CHECK(c.tensors[i].shape == some_tensors()[i].tensor.shape());
  }
  CHECK(c.metadata.at("step") == "12");
}

TEST_CASE("checkpoint: a file that was cut is refused wherever the cut is") {
  const ScratchFolder folder;
  const std::string whole = valid_file();
  for (size_t size = 0; size < whole.size(); ++size) {
    CAPTURE(size);
    CHECK(contains(refusal(folder, whole.substr(0, size)), "truncated"));
  }
  CHECK(contains(refusal(folder, whole + "x"), "too long"));
}

TEST_CASE("checkpoint: hostile headers") {
  const ScratchFolder folder;
  const auto one = [](const std::string& dtype, const std::string& shape,
                      const std::string& offsets) {
    return R"({"a":{"dtype":)" + dtype + R"(,"shape":)" + shape + R"(,"data_offsets":)" + offsets +
           "}}";
  };
  const std::string huge = "18446744073709551615";
  struct Case {
    std::string content, says;
  };
  const std::vector<Case> cases = {
      {eight_bytes(~uint64_t{0}) + "{}", "header length at offset 0 is " + huge},
      {eight_bytes(uint64_t{1} << 63) + "{}", "header length at offset 0"},
      {eight_bytes(200'000'000) + "{}", "header length at offset 0 is 200000000"},
      {file_of(""), "malformed header at offset 8"},
      {file_of("{"), "malformed header at offset 8"},
      {file_of("[1, 2]"), "not an object"},
      {file_of("7"), "not an object"},
      {file_of(std::string(100'000, '[')), "malformed header at offset 8"},
      {file_of(R"({"a":)" + std::string(50'000, '[') + std::string(50'000, ']') + "}"), "a has no"},
      {file_of("{\"\xff\": 1}"), "malformed header at offset 8"},
      {file_of(R"({"a": 1})"), "a has no dtype, shape or data_offsets"},
      {file_of(R"({"a": {"dtype": "F32", "shape": []}})", 4), "a has no dtype, shape"},
      {file_of(one("3", "[1]", "[0,4]"), 4), "a dtype that is not text"},
      {file_of(one(R"("F32")", R"("4")", "[0,4]"), 4), "a shape that is no list"},
      {file_of(one(R"("F32")", "[1,1,1,1,1,1,1,1,1,1,1,1]", "[0,4]"), 4), "too long"},
      {file_of(one(R"("F32")", "[-1]", "[0,4]"), 4), "something else than whole numbers"},
      {file_of(one(R"("F32")", "[1.5]", "[0,4]"), 4), "something else than whole numbers"},
      {file_of(one(R"("F32")", "[1000000]", "[0,4000000]"), 4), "a shape larger than the file"},
      {file_of(one(R"("F32")", "[4294967296,4294967296]", "[0,0]")), "larger than the file"},
      {file_of(one(R"("F32")", "[0," + huge + "]", "[0,0]")), "larger than the file"},
      {file_of(one(R"("F32")", "[64,64,64,64,64,64]", "[0,4]"), 4), "larger than the file"},
      {file_of(one(R"("F32")", "[1]", "[0,8]"), 8), "do not fit its shape"},
      {file_of(one(R"("F32")", "[1]", "[4,0]"), 4), "do not fit its shape"},
      {file_of(one(R"("F32")", "[1]", "[" + huge + ",3]"), 4), "do not fit its shape"},
      {file_of(one(R"("F32")", "[1]", "[18446744073709551612," + huge + "]"), 4), "do not fit"},
      {file_of(one(R"("F32")", "[1]", "[18446744073709551611," + huge + "]"), 4),
       "begin at offset"},
      {file_of(one(R"("F32")", "[1]", "[-4,0]"), 4), "not two whole numbers"},
      {file_of(one(R"("F32")", "[1]", "[0]"), 4), "not two whole numbers"},
      {file_of(one(R"("F32")", "[1]", R"({"a":0,"b":4})"), 4), "not two whole numbers"},
      {file_of(one(R"("F32")", "[1]", "[4,8]"), 8), "overlap or leave a gap"},
      {file_of(one(R"("F32")", "[1]", "[0,4]"), 8), "truncated or too long"},
      {file_of(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
               R"("b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})",
               12),
       "the values of b begin at offset"},
      {file_of(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
               R"("b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}})",
               12),
       "overlap or leave a gap"},
      {file_of(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
               R"("a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
               4),
       "the name a is there twice"},
      {file_of(R"({"__metadata__": 3})"), "__metadata__ is not an object"},
      {file_of(R"({"__metadata__": {"step": 3}})"), "__metadata__ entry step is not text"}};
  for (const Case& c : cases) {
    CAPTURE(c.content.substr(0, 200));
    const std::string text = refusal(folder, c.content);
    CAPTURE(text);
    CHECK(contains(text, c.says));
    CHECK(text.size() < 500);
  }
}

TEST_CASE("checkpoint: no header of another program breaks the reader") {
  const ScratchFolder folder;
  const std::filesystem::path path = folder / "a.safetensors";
  const std::string whole = valid_file();
  int refused = 0, read = 0;
  for (size_t at = 0; at < whole.size(); ++at) {
    for (const char other : {'\0', '"', '9', '}', '\xff'}) {
      std::string changed = whole;
      changed[at] = other;
      write_bytes(path, changed);
      try {
        load_checkpoint(path);
        ++read;  // a changed name or value is a file like any other
      } catch (const DataError&) {
        ++refused;
      }
    }
  }
  CHECK(refused > 500);
  CHECK(read > 100);
}

TEST_CASE("checkpoint: files that are no files") {
  const ScratchFolder folder;
  CHECK(message_of<DataError>([&] { load_checkpoint(folder / "missing"); }) ==
        (folder / "missing").string() + ": cannot be opened: No such file or directory.");
  std::filesystem::create_directory(folder / "sub");
  CHECK(message_of<DataError>([&] { load_checkpoint(folder / "sub"); }) ==
        (folder / "sub").string() + ": is a folder.");
}

TEST_CASE("checkpoint: a save that fails leaves what was there, and nothing else") {
  const ScratchFolder folder;
  const std::filesystem::path path = folder / "a.safetensors";
  save_checkpoint(path, some_tensors());
  const std::string before = read_bytes(path);

  SUBCASE("two tensors of one name") {
    const Tensor x = scalar(1);
    CHECK(message_of<DataError>([&] {
            save_checkpoint(path, {{"x", x}, {"x", x}});
          }) == "save: two tensors are called x.");
  }
  SUBCASE("the disk is full") {
    // A limit on the size of a file stands for it: the write stops in the middle.
    rlimit old{};
    REQUIRE(getrlimit(RLIMIT_FSIZE, &old) == 0);
    const auto handler = std::signal(SIGXFSZ, SIG_IGN);
    const rlimit small{10'000, old.rlim_max};
    REQUIRE(setrlimit(RLIMIT_FSIZE, &small) == 0);
    std::string text;
    try {
      save_checkpoint(path, {{"large", zeros({100, 100})}});
    } catch (const DataError& error) {
      text = error.what();
    }
    setrlimit(RLIMIT_FSIZE, &old);
    std::signal(SIGXFSZ, handler);
    CHECK(text.starts_with(path.string()));
    CHECK(contains(text, "cannot be written: "));
  }
  SUBCASE("the folder is missing") {
    const std::string text = message_of<DataError>(
        [&] { save_checkpoint(folder / "no-such" / "a.safetensors", some_tensors()); });
    CHECK(contains(text, "cannot be created: No such file or directory"));
  }
  SUBCASE("a folder has that name") {
    std::filesystem::create_directory(folder / "sub");
    write_bytes(folder / "sub" / "kept", "x");
    const std::string text =
        message_of<DataError>([&] { save_checkpoint(folder / "sub", some_tensors()); });
    CHECK(text.starts_with((folder / "sub").string() + ": cannot be replaced: "));
    CHECK(read_bytes(folder / "sub" / "kept") == "x");
    std::filesystem::remove_all(folder / "sub");
  }
  CHECK(read_bytes(path) == before);
  CHECK(folder.entries() == 1);  // no temporary file is left
}

TEST_CASE("checkpoint: a save replaces the whole file") {
  const ScratchFolder folder;
  const std::filesystem::path path = folder / "a.safetensors";
  write_bytes(path, std::string(10'000, 'x'));
  save_checkpoint(path, some_tensors());
  CHECK(load_checkpoint(path).tensors.size() == 4);
  CHECK(folder.entries() == 1);
}

TEST_CASE("restore: overwrites in place") {
  const Tensor w = zeros({2}), state = zeros({2});
  const void* place = w.data();
  const Checkpoint c{{{"w", tensor({1, 2})}, {"optimizer.momentum.w", tensor({3, 4})}}, {}};
  restore(c, {{"w", w}}, "a.safetensors", {"optimizer."});
  CHECK(w.values() == std::vector<double>{1, 2});
  CHECK(w.data() == place);
  restore(c, {{"w", w}, {"optimizer.momentum.w", state}}, "a.safetensors");
  CHECK(state.values() == std::vector<double>{3, 4});
}

TEST_CASE("restore: lists every mismatch and writes nothing") {
  const Tensor fits = zeros({2}), shape = zeros({2, 2}), dtype = zeros({2}, Dtype::f64),
               missing = zeros({3});
  const Checkpoint c{{{"fits", tensor({1, 2})},
                      {"shape", ones({4})},
                      {"dtype", ones({2})},
                      {"extra", ones({5})},
                      {"optimizer.x", ones({6})}},
                     {}};
  const std::string text = message_of<DataError>([&] {
    restore(c, {{"fits", fits}, {"shape", shape}, {"dtype", dtype}, {"missing", missing}},
            "run/model.safetensors", {"optimizer."});
  });
  CHECK(text ==
        "load: run/model.safetensors does not fit the model; nothing was loaded:\n"
        "  shape is (4) float32, the model has (2, 2) float32\n"
        "  dtype is (2) float32, the model has (2) float64\n"
        "  no missing (3)\n"
        "  extra (5) is not in the model");
  for (const Tensor& t : {fits, shape, dtype, missing}) CHECK(sum(t).item() == 0);
}
