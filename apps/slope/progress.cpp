#include "apps/slope/progress.h"

#include <unistd.h>

#include <cmath>
#include <cstdio>

namespace slope::program {

Progress::Progress(bool quiet, const std::string& log)
    : quiet_(quiet), terminal_(::isatty(STDERR_FILENO)) {
  if (!log.empty()) log_.open(log, std::ios::app);
}

Progress::~Progress() { clear(); }

void Progress::clear() {
  if (shown_) std::fputs("\r\033[K", stderr);
  shown_ = false;
}

void Progress::moving(const std::string& line) {
  if (quiet_ || !terminal_) return;
  const auto now = std::chrono::steady_clock::now();
  if (now - last_ < std::chrono::milliseconds(100)) return;
  last_ = now;
  std::fprintf(stderr, "\r\033[K%s", line.c_str());
  std::fflush(stderr);
  shown_ = true;
}

void Progress::line(const std::string& text) {
  clear();
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
