// AtomicFile: a file that is replaced as a whole or not at all.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string_view>

namespace slope {

// Writes beside the target, under a name of this process (NAME.tmp123), and takes the target's name
// at the end: a program that is killed, or a full disk, leaves what was there before. Without
// move_into_place() it goes as if it had never been. Errors: DataError with the system's reason.
class AtomicFile {
 public:
  explicit AtomicFile(const std::filesystem::path& target);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(const void* from, size_t size);
  void move_into_place();

 private:
  std::filesystem::path target_, path_;
  int descriptor_ = -1;
  bool done_ = false;
};

// A whole text in one go.
void write_atomically(const std::filesystem::path& target, std::string_view text);

}  // namespace slope
