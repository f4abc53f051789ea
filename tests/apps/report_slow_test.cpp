// The report in a browser: it opens without an error, its charts have drawn, its pictures are
// there.
#include "nn/data/image.h"
#include "tests/apps/program.h"
#include "tests/skip.h"

using namespace slope::program_test;

namespace {

// Chromium under whichever name this machine has it; empty where it has none.
std::string browser() {
  const char* path = std::getenv("PATH");
  std::istringstream folders(path ? path : "");
  for (std::string folder; std::getline(folders, folder, ':');) {
    for (const char* name : {"chromium", "chromium-browser", "google-chrome"}) {
      const std::string program = (fs::path(folder) / name).string();
      if (::access(program.c_str(), X_OK) == 0) return program;
    }
  }
  return {};
}

struct Opened {
  std::string document, log;
  slope::nn::Image screen;
};

Opened open_in_browser(const Folder& here, const std::string& page) {
  const std::string start =
      browser() +
      " --headless --no-sandbox --disable-gpu --user-data-dir=" + (here / "profile").string() +
      " --enable-logging=stderr --virtual-time-budget=4000 " + "--window-size=1200,3000 ";
  const std::string address = "file://" + (here / page).string();
  const std::string dom = (here / "dom.html").string(), log = (here / "log").string(),
                    picture = (here / "screen.png").string();
  CHECK(std::system((start + "--dump-dom " + address + " >" + dom + " 2>" + log).c_str()) == 0);
  CHECK(std::system((start + "--screenshot=" + picture + " " + address + " >/dev/null 2>>" + log)
                        .c_str()) == 0);
  return {read(dom), read(log), slope::nn::read_image(picture, 3)};
}

// Pixels of about this colour.
int64_t count(const slope::nn::Image& image, int red, int green, int blue) {
  int64_t found = 0;
  for (size_t i = 0; i + 2 < image.pixels.size(); i += 3) {
    found += std::abs(image.pixels[i] - red) < 12 && std::abs(image.pixels[i + 1] - green) < 12 &&
             std::abs(image.pixels[i + 2] - blue) < 12;
  }
  return found;
}

bool has(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("report: a browser draws its charts and pictures, without an error") {
  if (browser().empty()) SKIP_TEST("there is no Chromium on this machine");
  Folder here;
  run(here, {"train", "cnn-mnist", "--limit", "512", "--epochs", "3", "--batch", "128", "--out",
             "digits", "--json"})
      .json();
  run(here, {"train", "spheres-mlp", "--epochs", "4", "--out", "points", "--json"}).json();
  run(here, {"eval", "points", "--solver", "euler", "--steps", "1,2,4", "--json"}).json();

  const Opened digits = open_in_browser(here, "digits/report.html");
  INFO(digits.log);
  CHECK(!has(digits.log, "Uncaught"));
  CHECK(has(digits.document, "<h2>Loss</h2>"));
  CHECK(has(digits.document, "<h2>What is taken for what</h2>"));
  CHECK(has(digits.document, "<h2>Most wrong</h2>"));
  CHECK(has(digits.document, ", decided "));
  // The page without its script has none of the first two curves' colours.
  const auto charts = [](const Opened& page) {
    return std::pair{count(page.screen, 47, 111, 222), count(page.screen, 224, 122, 47)};
  };
  const bool drawn =
      has(digits.document, "<canvas role=\"img\"") || has(digits.document, "aria-label=\"Loss\"");
  if (!drawn) SKIP_TEST("the program was built without a chart library");
  CHECK(charts(digits).first > 300);
  CHECK(charts(digits).second > 300);

  const Opened points = open_in_browser(here, "points/report.html");
  INFO(points.log);
  CHECK(!has(points.log, "Uncaught"));
  CHECK(has(points.document, "<h2>Accuracy under other solvers</h2>"));
  CHECK(has(points.document, "<h2>How points move</h2>"));
  CHECK(!has(points.document, "<h2>Most wrong</h2>"));  // points are no pictures
  CHECK(charts(points).first > 300);
  CHECK(charts(points).second > 300);

  // A page whose script fails is not taken for a good one.
  std::string broken = read(here / "points/report.html");
  const size_t script = broken.rfind("<script>");
  broken.replace(script, 8, "<script>throw new Error('broken');");
  write(here / "broken.html", broken);
  const Opened bad = open_in_browser(here, "broken.html");
  CHECK(has(bad.log, "Uncaught"));
  CHECK(charts(bad).first < 300);
}
