// Tar archives (POSIX ustar and pax, GNU) read as a stream, entry after entry; nothing is unpacked
// to disk.
#pragma once

#include <memory>

#include "nn/data/byte_stream.h"

namespace slope::nn {

class TarReader {
 public:
  // archive must outlive the reader.
  explicit TarReader(ByteStream& archive) : archive_(archive) {}

  // The next regular file, or null at the archive's end; what has not been read of the one before
  // is skipped, and that stream is no longer valid. Folders, links and devices are passed over.
  // Errors, all DataError with the archive and the offset: not a tar archive, a header whose
  // checksum is wrong, a size that is no number, a path that leads out of the archive (absolute, or
  // with ".." in it), an archive that ends in the middle of an entry.
  ByteStream* next();
  // The path of that file inside the archive.
  const std::string& path() const { return path_; }

 private:
  class Entry;
  struct Header;

  bool read_header(Header* header);
  std::string read_text(uint64_t size, uint64_t at);
  void skip(uint64_t bytes);
  void apply_pax(const std::string& records, uint64_t at);
  [[noreturn]] void fail(uint64_t at, const std::string& what) const;

  ByteStream& archive_;
  std::string path_;
  std::string long_path_;  // from a GNU or pax entry, for the entry after it
  bool has_pax_size_ = false;
  uint64_t pax_size_ = 0;
  uint64_t end_ = 0;  // offset of the block after the present entry
  std::unique_ptr<ByteStream> entry_;
};

}  // namespace slope::nn
