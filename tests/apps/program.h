// Running the built program as a person or a script would: arguments in; exit status, stdout,
// stderr out.
#pragma once

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "tests/paths.h"

namespace slope::program_test {

namespace fs = std::filesystem;
using Json = nlohmann::json;
using Arguments = std::vector<std::string>;

// A folder of its own for one test, removed at the end; the program runs in it.
class Folder {
 public:
  Folder() {
    std::string name = (fs::temp_directory_path() / "slope-cli-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~Folder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  fs::path operator/(const std::string& name) const { return path_ / name; }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

inline std::string read(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

inline void write(const fs::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

struct Result {
  int status = -1;  // as a shell has it: 128 + number for a signal that killed it
  std::string out, error;
  Json json() const {
    INFO(error);
    REQUIRE(status == 0);
    REQUIRE(std::count(out.begin(), out.end(), '\n') == 1);  // one object and nothing else
    return Json::parse(out);
  }
};

// The program while it runs.
class Running {
 public:
  Running(const Folder& folder, const Arguments& arguments) : folder_(folder.path()) {
    process_ = ::fork();
    REQUIRE(process_ >= 0);
    if (process_ > 0) return;
    const std::string program = test::program();
    std::vector<char*> argv{const_cast<char*>(program.c_str())};
    for (const std::string& a : arguments) argv.push_back(const_cast<char*>(a.c_str()));
    argv.push_back(nullptr);
    ::setenv("SLOPE_DATA", (test::source_dir() + "/data").c_str(), 1);
    const int out = ::open((folder_ / "stdout").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    const int error = ::open((folder_ / "stderr").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (::chdir(folder_.c_str()) == 0 && ::dup2(out, 1) == 1 && ::dup2(error, 2) == 2)
      ::execv(program.c_str(), argv.data());
    ::_exit(126);
  }
  void signal(int number) const { ::kill(process_, number); }
  bool ended() {
    int status = 0;
    if (process_ > 0 && ::waitpid(process_, &status, WNOHANG) == process_) keep(status);
    return process_ == 0;
  }
  Result wait() {
    int status = 0;
    if (process_ > 0 && ::waitpid(process_, &status, 0) == process_) keep(status);
    return {status_, read(folder_ / "stdout"), read(folder_ / "stderr")};
  }

 private:
  void keep(int status) {
    status_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    process_ = 0;
  }
  fs::path folder_;
  pid_t process_ = 0;
  int status_ = -1;
};

inline Result run(const Folder& folder, const Arguments& arguments) {
  return Running(folder, arguments).wait();
}

// One line "error: ..." with `text` in it, perhaps a second one that names the place in the model,
// nothing on stdout, and this exit status.
inline void check_error(const Folder& folder, const Arguments& arguments, int status,
                        const std::string& text) {
  std::string command;
  for (const std::string& a : arguments) command += " " + a;
  INFO(command);
  const Result r = run(folder, arguments);
  INFO(r.error);
  CHECK(r.status == status);
  CHECK(r.out.empty());
  CHECK(r.error.starts_with("error: "));
  CHECK(r.error.find(text) != std::string::npos);
  const auto place = r.error.find("\n  in ");
  CHECK(std::count(r.error.begin(), r.error.end(), '\n') == (place == std::string::npos ? 1 : 2));
}

}  // namespace slope::program_test
