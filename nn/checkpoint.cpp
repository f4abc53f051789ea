#include "nn/checkpoint.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <system_error>

#include "core/atomic_file.h"
#include "core/ops/movement.h"

namespace slope::nn {
namespace {

using Json = nlohmann::ordered_json;

constexpr uint64_t kLargestHeader = 100'000'000;  // the limit of the format's own readers

struct DtypeName {
  Dtype dtype;
  const char* name;
};
// Others that a file may hold.
struct ForeignDtype {
  const char* name;
  uint64_t bytes;
};
constexpr ForeignDtype kForeignDtypes[] = {{"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"F8_E5M2", 1},
                                           {"I16", 2},  {"U16", 2}, {"F16", 2}, {"F8_E4M3", 1},
                                           {"BF16", 2}, {"U32", 4}, {"U64", 8}, {"I64", 8}};

constexpr DtypeName kDtypes[] = {{Dtype::f32, "F32"}, {Dtype::f64, "F64"}, {Dtype::i32, "I32"}};

std::string reason() { return std::generic_category().message(errno); }

// What the header says of one tensor.
struct Place {
  std::string name;
  std::string dtype_name;
  std::optional<Dtype> dtype = {};  // none: one that slope has no tensors of
  Shape shape;
  uint64_t begin = 0, end = 0;
};

struct Header {
  std::vector<Place> places;  // by where they lie
  Metadata metadata;
  uint64_t data_offset = 0;
};

class Reader {
 public:
  explicit Reader(const std::filesystem::path& path) : path_(path), in_(path, std::ios::binary) {
    std::error_code error;
    if (std::filesystem::is_directory(path, error)) fail("is a folder");
    if (!in_) throw DataError(concat(path.string(), ": cannot be opened: ", reason(), "."));
    size_ = std::filesystem::file_size(path, error);
    if (error) fail(error.message());
  }

  Header header() {
    if (size_ < 8) fail(concat("truncated: ", size_, " bytes, a checkpoint has at least 8"));
    unsigned char length_bytes[8];
    in_.read(reinterpret_cast<char*>(length_bytes), 8);
    uint64_t length = 0;
    for (int i = 7; i >= 0; --i) length = length << 8 | length_bytes[i];
    if (length > kLargestHeader || length > size_ - 8) {
      fail(concat("not a safetensors file, or truncated: the header length at offset 0 is ", length,
                  ", the file has ", size_, " bytes"));
    }
    std::string text(length, '\0');
    in_.read(text.data(), static_cast<std::streamsize>(length));
    Header header = parse(text);
    header.data_offset = 8 + length;
    check_places(header);
    return header;
  }

  Dtype dtype_of(const Place& place) const {
    if (!place.dtype) {
      fail(concat("tensor ", place.name, " is ", place.dtype_name,
                  "; slope reads F32, F64 and I32. Convert it first"));
    }
    return *place.dtype;
  }

  std::vector<char> values(const Header& header, const Place& place) {
    std::vector<char> bytes(place.end - place.begin);
    in_.seekg(static_cast<std::streamoff>(header.data_offset + place.begin));
    in_.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    if (!in_) fail(concat("cannot be read at offset ", header.data_offset + place.begin));
    return bytes;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw DataError(path_.string() + ": " + what + ".");
  }

  Header parse(const std::string& text) const {
    // The parser keeps only the last of two equal keys, so they are counted on the way.
    std::set<std::string> keys;
    std::string twice;
    const auto watch = [&](int depth, Json::parse_event_t event, Json& value) {
      if (event == Json::parse_event_t::key && depth == 1 &&
          !keys.insert(value.get<std::string>()).second) {
        twice = value.get<std::string>();
      }
      return depth <= 3 || event == Json::parse_event_t::value;  // nothing in a header is deeper
    };
    Json json;
    try {
      json = Json::parse(text, watch);
    } catch (const Json::exception& error) {
      fail(concat("malformed header at offset 8: ", error.what()));
    }
    if (!twice.empty()) fail("the name " + twice + " is there twice");
    if (!json.is_object()) fail("malformed header at offset 8: not an object");
    Header header;
    for (const auto& [name, entry] : json.items()) {
      if (name != "__metadata__") {
        header.places.push_back(place(name, entry));
        continue;
      }
      if (!entry.is_object()) fail("malformed header: __metadata__ is not an object");
      for (const auto& [key, value] : entry.items()) {
        if (!value.is_string())
          fail("malformed header: __metadata__ entry " + key + " is not text");
        header.metadata[key] = value.get<std::string>();
      }
    }
    return header;
  }

  Place place(const std::string& name, const Json& entry) const {
    const auto bad = [&](const char* what) {
      fail(concat("malformed header: tensor ", name, " has ", what));
    };
    if (!entry.is_object() || !entry.contains("dtype") || !entry.contains("shape") ||
        !entry.contains("data_offsets")) {
      bad("no dtype, shape or data_offsets");
    }
    Place p;
    p.name = name;
    const Json &dtype = entry["dtype"], &shape = entry["shape"], &offsets = entry["data_offsets"];
    if (!dtype.is_string()) bad("a dtype that is not text");
    p.dtype_name = dtype.get<std::string>();
    uint64_t value_bytes = 0;
    for (const DtypeName& d : kDtypes) {
      if (d.name == p.dtype_name) p.dtype = d.dtype, value_bytes = size_of(d.dtype);
    }
    for (const ForeignDtype& d : kForeignDtypes) {
      if (d.name == p.dtype_name) value_bytes = d.bytes;
    }
    if (value_bytes == 0) bad("a dtype that is unknown");
    if (!shape.is_array() || shape.size() > static_cast<size_t>(kMaxRank))
      bad("a shape that is no list, or too long");
    uint64_t count = 1;
    for (const Json& n : shape) {
      if (!n.is_number_unsigned()) bad("a shape with something else than whole numbers");
      const auto length = n.get<uint64_t>();
      if (length > size_ / count) bad("a shape larger than the file");
      count *= std::max<uint64_t>(length, 1);
      p.shape.push_back(static_cast<int64_t>(length));
    }
    if (!offsets.is_array() || offsets.size() != 2 || !offsets[0].is_number_unsigned() ||
        !offsets[1].is_number_unsigned()) {
      bad("data_offsets that are not two whole numbers");
    }
    p.begin = offsets[0].get<uint64_t>();
    p.end = offsets[1].get<uint64_t>();
    const uint64_t bytes = static_cast<uint64_t>(p.shape.size()) * value_bytes;
    if (p.end < p.begin || p.end - p.begin != bytes) bad("data_offsets that do not fit its shape");
    return p;
  }

  void check_places(Header& header) const {
    std::stable_sort(header.places.begin(), header.places.end(),
                     [](const Place& a, const Place& b) { return a.begin < b.begin; });
    uint64_t expected = 0;
    for (const Place& p : header.places) {
      if (p.begin != expected) {
        fail(concat("the values of ", p.name, " begin at offset ", header.data_offset + p.begin,
                    ", expected ", header.data_offset + expected,
                    ": places overlap or leave a gap"));
      }
      expected = p.end;
    }
    if (header.data_offset + expected != size_) {
      fail(concat("truncated or too long: the header promises ", header.data_offset + expected,
                  " bytes, the file has ", size_));
    }
  }

  std::filesystem::path path_;
  std::ifstream in_;
  uint64_t size_ = 0;
};

bool starts_with_any(const std::string& name, const std::vector<std::string>& prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](const std::string& p) { return name.starts_with(p); });
}

}  // namespace

Tensor Checkpoint::find(const std::string& name) const {
  for (const NamedTensor& t : tensors) {
    if (t.name == name) return t.tensor;
  }
  return {};
}

void save_checkpoint(const std::filesystem::path& path, const std::vector<NamedTensor>& tensors,
                     const Metadata& metadata) {
  Json json = Json::object();
  if (!metadata.empty()) json["__metadata__"] = metadata;
  uint64_t offset = 0;
  for (const auto& [name, tensor] : tensors) {
    if (json.contains(name)) throw DataError(concat("save: two tensors are called ", name, "."));
    const auto dtype =
        std::find_if(std::begin(kDtypes), std::end(kDtypes),
                     [&, d = tensor.dtype()](const DtypeName& n) { return n.dtype == d; });
    const uint64_t end = offset + static_cast<uint64_t>(tensor.size()) * size_of(tensor.dtype());
    json[name] = {{"dtype", dtype->name},
                  {"shape", std::vector<int64_t>(tensor.shape().begin(), tensor.shape().end())},
                  {"data_offsets", {offset, end}}};
    offset = end;
  }
  // Bytes that are not UTF-8, say, of a path in the metadata, are replaced: a long run must not end
  // here without its weights.
  std::string header = json.dump(-1, ' ', false, Json::error_handler_t::replace);
  header.resize((header.size() + 7) / 8 * 8, ' ');  // so that the values are aligned

  AtomicFile file(path);
  unsigned char length[8];
  for (int i = 0; i < 8; ++i) length[i] = static_cast<unsigned char>(header.size() >> (8 * i));
  file.write(length, 8);
  file.write(header.data(), header.size());
  for (const auto& [name, tensor] : tensors) {
    dispatch_any(tensor.dtype(), [&, &t = tensor]<typename T>() {
      const std::vector<T> values = t.template to_vector<T>();
      file.write(values.data(), values.size() * sizeof(T));
    });
  }
  file.move_into_place();
}

Checkpoint load_checkpoint(const std::filesystem::path& path, Device device,
                           const std::function<bool(const std::string&)>& ignored) {
  Reader reader(path);
  const Header header = reader.header();
  Checkpoint checkpoint{.tensors = {}, .metadata = header.metadata};
  for (const Place& place : header.places) {
    if (ignored && ignored(place.name)) continue;
    const Dtype dtype = reader.dtype_of(place);
    const std::vector<char> bytes = reader.values(header, place);
    checkpoint.tensors.push_back({place.name, dispatch_any(dtype, [&]<typename T>() {
                                    std::vector<T> values(bytes.size() / sizeof(T));
                                    if (!bytes.empty())
                                      std::memcpy(values.data(), bytes.data(), bytes.size());
                                    return from_host(values, place.shape, device);
                                  })});
  }
  return checkpoint;
}

CheckpointHeader inspect_checkpoint(const std::filesystem::path& path) {
  const Header header = Reader(path).header();
  CheckpointHeader found{.tensors = {}, .metadata = header.metadata};
  for (const Place& p : header.places)
    found.tensors.push_back({p.name, p.dtype ? name(*p.dtype) : p.dtype_name, p.shape});
  return found;
}

void restore(const Checkpoint& checkpoint, const std::vector<NamedTensor>& targets,
             const std::string& file, const std::vector<std::string>& ignored_prefixes) {
  std::string problems;
  std::set<std::string> wanted;
  for (const auto& [name, target] : targets) {
    wanted.insert(name);
    const Tensor found = checkpoint.find(name);
    if (!found.defined()) {
      problems += concat("\n  no ", name, " ", target.shape());
    } else if (found.shape() != target.shape() || found.dtype() != target.dtype()) {
      problems +=
          concat("\n  ", name, " is ", describe(found), ", the model has ", describe(target));
    }
  }
  for (const auto& [name, tensor] : checkpoint.tensors) {
    if (!wanted.contains(name) && !starts_with_any(name, ignored_prefixes)) {
      problems += concat("\n  ", name, " ", tensor.shape(), " is not in the model");
    }
  }
  if (!problems.empty()) {
    throw DataError(
        concat("load: ", file, " does not fit the model; nothing was loaded:", problems));
  }
  for (const auto& [name, target] : targets) copy_into(target, checkpoint.find(name));
}

}  // namespace slope::nn
