#include "core/atomic_file.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "core/error.h"

using namespace slope;
namespace fs = std::filesystem;

namespace {

// A folder of its own, removed at the end.
struct Folder {
  Folder() {
    std::string name = (fs::temp_directory_path() / "slope-atomic-XXXXXX").string();
    path = ::mkdtemp(name.data());
  }
  ~Folder() { fs::remove_all(path); }
  fs::path path;
};

std::string read(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return (std::ostringstream() << in.rdbuf()).str();
}

int64_t files(const Folder& folder) {
  return std::distance(fs::directory_iterator(folder.path), fs::directory_iterator());
}

}  // namespace

TEST_CASE("atomic file: the old one stands until the new one is whole") {
  const Folder folder;
  const fs::path target = folder.path / "file";
  write_atomically(target, "old");
  {
    AtomicFile file(target);
    file.write("new", 3);
    CHECK(read(target) == "old");
    CHECK(files(folder) == 2);
    file.move_into_place();
    CHECK(read(target) == "new");
  }
  CHECK(files(folder) == 1);
  {
    AtomicFile given_up(target);
    given_up.write("half", 4);
  }
  CHECK(read(target) == "new");
  CHECK(files(folder) == 1);
}

TEST_CASE("atomic file: what cannot be written says why and leaves nothing behind") {
  const Folder folder;
  const auto message = [](const fs::path& target) {
    try {
      write_atomically(target, "text");
    } catch (const DataError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  const std::string missing = message(folder.path / "none" / "file");
  CHECK(missing.find("cannot be created: No such file or directory.") != std::string::npos);
  fs::create_directories(folder.path / "taken" / "inside");
  CHECK(message(folder.path / "taken").find("cannot be replaced: ") != std::string::npos);
  CHECK(files(folder) == 1);
}
