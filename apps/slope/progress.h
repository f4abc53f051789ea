// What people see while work is long: one line that moves on a terminal, plain lines elsewhere, and
// log.txt.
#pragma once

#include <chrono>
#include <fstream>
#include <string>

namespace slope::program {

class Progress {
 public:
  // quiet: nothing on stderr. log: a file that gets the plain lines too; "" for none. pause: least
  // time between states that stay, see moving().
  explicit Progress(bool quiet, const std::string& log = "",
                    std::chrono::milliseconds pause = std::chrono::seconds(30));
  ~Progress();
  // A state that will be replaced: shown on a terminal, at most ten times a second. Where nothing
  // else was said for a while, as a line in the log and where stderr is no terminal.
  void moving(const std::string& line);
  // A line that stays.
  void line(const std::string& text);
  // A line that stays and that even quiet lets through.
  void warning(const std::string& text);

 private:
  void clear();
  bool quiet_, terminal_, shown_ = false;
  std::ofstream log_;
  std::chrono::milliseconds pause_;
  std::chrono::steady_clock::time_point last_{}, last_line_;
};

// "1:05", "2:03:10"
std::string duration_text(double seconds);

}  // namespace slope::program
