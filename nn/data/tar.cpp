#include "nn/data/tar.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "core/error.h"

namespace slope::nn {
namespace {

constexpr uint64_t kBlock = 512;
constexpr uint64_t kLongestText = 1 << 16;        // of a path or of pax records
constexpr uint64_t kLargest = uint64_t{1} << 50;  // a larger file cannot be meant

uint64_t padded(uint64_t size) { return (size + kBlock - 1) / kBlock * kBlock; }

std::string until_zero(std::span<const uint8_t> field) {
  return {field.begin(), std::find(field.begin(), field.end(), uint8_t{0})};
}

// A number field: octal digits between blanks, or, where the first bit is set, binary (GNU).
bool parse_number(std::span<const uint8_t> field, uint64_t* value) {
  *value = 0;
  if (field[0] & 0x80) {
    if (field[0] != 0x80) return false;  // 0xff: a negative one
    for (uint8_t byte : field.subspan(1)) {
      if (*value >= kLargest) return false;
      *value = *value << 8 | byte;
    }
    return *value < kLargest;
  }
  size_t i = 0, digits = 0;
  while (i < field.size() && field[i] == ' ') ++i;
  for (; i < field.size() && field[i] >= '0' && field[i] <= '7'; ++i, ++digits)
    *value = *value * 8 + (field[i] - '0');
  for (; i < field.size(); ++i) {
    if (field[i] != ' ' && field[i] != 0) return false;
  }
  return digits > 0 && *value < kLargest;
}

// True for paths that stay inside the archive.
bool stays_inside(const std::string& path) {
  if (path.empty() || path[0] == '/') return false;
  const std::filesystem::path parts(path);
  return std::none_of(parts.begin(), parts.end(), [](const auto& part) { return part == ".."; });
}

}  // namespace

struct TarReader::Header {
  uint64_t at = 0;  // its offset in the archive
  std::string path;
  uint64_t size = 0;
  uint8_t type = 0;
};

// The bytes of one file, up to its size.
class TarReader::Entry : public ByteStream {
 public:
  Entry(const std::string& name, ByteStream& archive, uint64_t size)
      : ByteStream(name), archive_(archive), left_(size) {}

 private:
  size_t read_some(std::span<uint8_t> to) override {
    const size_t wanted = static_cast<size_t>(std::min<uint64_t>(to.size(), left_));
    const size_t got = archive_.read(to.first(wanted));
    if (got < wanted) {
      throw DataError(concat(archive_.name(), ": truncated at offset ", archive_.offset(), ", ",
                             left_ - got, " bytes before the end of ", name(), "."));
    }
    left_ -= got;
    return got;
  }
  ByteStream& archive_;
  uint64_t left_;
};

void TarReader::fail(uint64_t at, const std::string& what) const {
  throw DataError(concat(archive_.name(), ": tar header at offset ", at, ": ", what, "."));
}

void TarReader::skip(uint64_t bytes) {
  std::array<uint8_t, 1 << 14> buffer;
  while (bytes > 0) {
    const auto n = static_cast<size_t>(std::min<uint64_t>(bytes, buffer.size()));
    if (archive_.read(std::span(buffer).first(n)) < n)
      throw DataError(concat(archive_.name(), ": truncated at offset ", archive_.offset(), "."));
    bytes -= n;
  }
}

bool TarReader::read_header(Header* header) {
  std::array<uint8_t, kBlock> block;
  header->at = archive_.offset();
  const size_t got = archive_.read(block);
  if (got == 0 && header->at > 0) return false;  // without the two blocks of zeros: still whole
  if (got < kBlock) {
    throw DataError(concat(archive_.name(), ": ", header->at == 0 ? "not a tar archive: " : "",
                           "truncated: ", got, " bytes at offset ", header->at,
                           " where a header of ", kBlock, " belongs."));
  }
  if (std::all_of(block.begin(), block.end(), [](uint8_t b) { return b == 0; })) return false;

  const auto field = [&](size_t at, size_t size) { return std::span(block).subspan(at, size); };
  uint64_t stated = 0, sum = 8 * ' ';  // the checksum's own field counts as blanks
  for (size_t i = 0; i < kBlock; ++i) sum += i < 148 || i >= 156 ? block[i] : 0;
  if (!parse_number(field(148, 8), &stated) || stated != sum) {
    fail(header->at, header->at > 0 ? "its checksum is wrong"
                     : archive_.packed()
                         ? "its checksum is wrong: what is packed is not a tar archive"
                         : "its checksum is wrong: not a tar archive, nor one "
                           "packed by gzip or xz");
  }
  if (!parse_number(field(124, 12), &header->size)) fail(header->at, "its size is no sound number");
  header->type = block[156];
  header->path = until_zero(field(0, 100));
  // ustar keeps the beginning of a long path in a field of its own; GNU uses it for other things.
  const std::string prefix = until_zero(field(345, 155));
  if (until_zero(field(257, 6)) == "ustar" && !prefix.empty())
    header->path = prefix + "/" + header->path;
  return true;
}

std::string TarReader::read_text(uint64_t size, uint64_t at) {
  if (size > kLongestText) fail(at, concat("a path or attribute of ", size, " bytes"));
  const std::vector<uint8_t> bytes = archive_.read_up_to(static_cast<size_t>(padded(size)));
  if (bytes.size() < padded(size))
    throw DataError(concat(archive_.name(), ": truncated at offset ", archive_.offset(), "."));
  return {bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size)};
}

// Records "LENGTH key=value\n"; LENGTH counts the whole record.
void TarReader::apply_pax(const std::string& records, uint64_t at) {
  for (size_t begin = 0; begin < records.size();) {
    size_t length = 0;
    const char* const first = records.data() + begin;
    const auto [end, error] = std::from_chars(first, records.data() + records.size(), length);
    const auto digits = static_cast<size_t>(end - first);
    if (error != std::errc() || length < digits + 3 || length > records.size() - begin ||
        *end != ' ' || first[length - 1] != '\n')
      fail(at, "its pax records are malformed");
    const std::string record(end + 1, first + length - 1);
    const size_t equals = record.find('=');
    const std::string key = record.substr(0, equals);
    const std::string value = equals == std::string::npos ? "" : record.substr(equals + 1);
    if (key == "path") long_path_ = value;
    if (key == "size") {
      const auto parsed = std::from_chars(value.data(), value.data() + value.size(), pax_size_);
      has_pax_size_ = true;
      if (parsed.ec != std::errc() || parsed.ptr != value.data() + value.size() ||
          pax_size_ >= kLargest)
        fail(at, "its pax size is no sound number");
    }
    begin += length;
  }
}

ByteStream* TarReader::next() {
  entry_.reset();
  for (;;) {
    if (end_ > archive_.offset()) skip(end_ - archive_.offset());
    Header header;
    if (!read_header(&header)) {
      // The rest is padding, but a packed archive is known to be whole only at its very end.
      std::vector<uint8_t> rest(size_t{1} << 14);
      while (archive_.read(rest) > 0) {
      }
      return nullptr;
    }
    switch (header.type) {
      case 'L': {  // GNU: the path of the entry after this one
        const std::string text = read_text(header.size, header.at);
        long_path_ = text.substr(0, text.find('\0'));
        continue;
      }
      case 'x':
        apply_pax(read_text(header.size, header.at), header.at);
        continue;
      default:
        break;
    }
    path_ = long_path_.empty() ? header.path : long_path_;
    const uint64_t size = has_pax_size_ ? pax_size_ : header.size;
    long_path_.clear();
    has_pax_size_ = false;
    end_ = archive_.offset() + padded(size);
    const bool regular = header.type == '0' || header.type == 0 || header.type == '7';
    if (header.type == 'g' || header.type == 'K') continue;  // attributes that change nothing here
    if (!stays_inside(path_))
      fail(header.at, concat("the path \"", path_, "\" leads out of the archive"));
    if (!regular || path_.back() == '/') {
      // Links, folders and devices have no content, whatever their size says.
      if (header.type >= '1' && header.type <= '6') end_ = archive_.offset();
      continue;
    }
    entry_ = std::make_unique<Entry>(concat(archive_.name(), ": ", path_), archive_, size);
    return entry_.get();
  }
}

}  // namespace slope::nn
