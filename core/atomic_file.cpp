#include "core/atomic_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "core/error.h"

namespace slope {

static std::string reason() { return std::generic_category().message(errno); }

AtomicFile::AtomicFile(const std::filesystem::path& target)
    : target_(target), path_(target.string() + concat(".tmp", ::getpid())) {
  descriptor_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (descriptor_ < 0)
    throw DataError(concat(path_.string(), ": cannot be created: ", reason(), "."));
}

AtomicFile::~AtomicFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (!done_) ::unlink(path_.c_str());
}

void AtomicFile::write(const void* from, size_t size) {
  const char* at = static_cast<const char*>(from);
  while (size > 0) {
    const ssize_t written = ::write(descriptor_, at, size);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0)
      throw DataError(concat(path_.string(), ": cannot be written: ", reason(), "."));
    at += written;
    size -= static_cast<size_t>(written);
  }
}

void AtomicFile::move_into_place() {
  if (::fsync(descriptor_) != 0)
    throw DataError(concat(path_.string(), ": cannot be written: ", reason(), "."));
  if (::rename(path_.c_str(), target_.c_str()) != 0)
    throw DataError(concat(target_.string(), ": cannot be replaced: ", reason(), "."));
  done_ = true;
  const std::filesystem::path folder = target_.has_parent_path() ? target_.parent_path() : ".";
  if (const int d = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); d >= 0) {
    ::fsync(d);  // the new name itself; a file system that cannot is no reason to fail
    ::close(d);
  }
}

void write_atomically(const std::filesystem::path& target, std::string_view text) {
  AtomicFile file(target);
  file.write(text.data(), text.size());
  file.move_into_place();
}

}  // namespace slope
