// Bytes of a file from its beginning to its end, unpacked on the way (.gz, .xz), never on disk.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace slope::nn {

class ByteStream {
 public:
  explicit ByteStream(std::string name) : name_(std::move(name)) {}
  virtual ~ByteStream() = default;
  ByteStream(const ByteStream&) = delete;
  ByteStream& operator=(const ByteStream&) = delete;

  // Fills `to`; returns how many bytes there were, fewer than asked for only at the end. Errors,
  // all DataError with the file and the offset: unreadable, damaged, cut off inside its packing.
  size_t read(std::span<uint8_t> to);
  // The next n bytes, or all that are left. Memory grows with what arrives, not with what a header
  // promises.
  std::vector<uint8_t> read_up_to(size_t n);
  bool at_end();
  // Whether the file has other bytes, which are unpacked on the way.
  virtual bool packed() const { return false; }

  const std::string& name() const { return name_; }  // for messages
  uint64_t offset() const { return offset_; }        // of the next byte

 protected:
  // Some bytes, at least one; 0 at the end.
  virtual size_t read_some(std::span<uint8_t> to) = 0;

 private:
  std::string name_;
  uint64_t offset_ = 0;
  bool has_peeked_ = false;
  uint8_t peeked_ = 0;
};

// A file, unpacked if its first bytes say that it is gzip or xz. Cannot be opened: DataError.
std::unique_ptr<ByteStream> open_file(const std::filesystem::path& path);
// Bytes in memory, which must outlive the stream; unpacked alike.
std::unique_ptr<ByteStream> open_bytes(std::string_view bytes, const std::string& name);

}  // namespace slope::nn
