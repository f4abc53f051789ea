#include "apps/slope/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>

namespace slope::program {

Progress::Progress(bool quiet, const std::string& log, std::chrono::milliseconds pause)
    : quiet_(quiet),
      terminal_(::isatty(STDERR_FILENO)),
      pause_(pause),
      last_line_(std::chrono::steady_clock::now()) {
  if (!log.empty()) log_.open(log, std::ios::app);
}

Progress::~Progress() { clear(); }

void Progress::clear() {
  if (shown_) std::fputs("\r\033[K", stderr);
  shown_ = false;
}

void Progress::moving(const std::string& line) {
  const auto now = std::chrono::steady_clock::now();
  if (now - last_line_ >= pause_) {
    last_line_ = now;
    if (log_) log_ << line << std::endl;
    if (!quiet_ && !terminal_) std::fprintf(stderr, "%s\n", line.c_str());
  }
  if (quiet_ || !terminal_ || now - last_ < std::chrono::milliseconds(100)) return;
  last_ = now;
  // A line that breaks could not be replaced: its end is left out.
  winsize window{};
  const bool known = ::ioctl(STDERR_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 1;
  const std::string shown = known ? line.substr(0, window.ws_col - 1u) : line;
  std::fprintf(stderr, "\r\033[K%s", shown.c_str());
  std::fflush(stderr);
  shown_ = true;
}

void Progress::line(const std::string& text) {
  clear();
  last_line_ = std::chrono::steady_clock::now();
  if (!quiet_) std::fprintf(stderr, "%s\n", text.c_str());
  if (log_) log_ << text << std::endl;
}

void Progress::warning(const std::string& text) {
  clear();
  std::fprintf(stderr, "warning: %s\n", text.c_str());
  if (log_) log_ << "warning: " << text << std::endl;
}

std::string duration_text(double seconds) {
  const auto total = static_cast<long>(std::lround(std::fmax(seconds, 0)));
  char text[32];
  if (total >= 3600) {
    std::snprintf(text, sizeof text, "%ld:%02ld:%02ld", total / 3600, total / 60 % 60, total % 60);
  } else {
    std::snprintf(text, sizeof text, "%ld:%02ld", total / 60, total % 60);
  }
  return text;
}

}  // namespace slope::program
