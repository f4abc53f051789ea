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

// page: the file's name, behind it perhaps "#t=0.5". options: more for Chromium.
Opened open_in_browser(const Folder& here, const std::string& page,
                       const std::string& options = "") {
  const std::string start =
      browser() +
      " --headless --no-sandbox --disable-gpu --user-data-dir=" + (here / "profile").string() +
      " --enable-logging=stderr --virtual-time-budget=9000 --window-size=1200,4500 " + options;
  const std::string address = " 'file://" + (here / page).string() + "'";
  const std::string dom = (here / "dom.html").string(), log = (here / "log").string(),
                    picture = (here / "screen.png").string();
  // One start for both: on a busy machine a start is what takes the time.
  CHECK(std::system(
            (start + " --dump-dom --screenshot=" + picture + address + " >" + dom + " 2>" + log)
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

namespace {

// The page without its script has none of the first two curves' colours.
bool charts_drawn(const Opened& page) {
  return count(page.screen, 47, 111, 222) > 300 && count(page.screen, 224, 122, 47) > 300;
}

// Puts a script behind all others of a page.
void add_script(const Folder& here, const std::string& page, const std::string& as,
                const std::string& script) {
  std::string text = read(here / page);
  text.insert(text.rfind("</body>"), "<script>" + script + "</script>");
  write(here / as, text);
}

// Whether the moving points of a page stand at this t, by its own words.
bool stands_at(const Opened& page, const std::string& t) {
  return has(page.document, ("<output>t = " + t + "</output>").c_str());
}

}  // namespace

TEST_CASE("report: a browser draws the charts and pictures of digits, without an error") {
  if (browser().empty()) SKIP_TEST("there is no Chromium on this machine");
  Folder here;
  run(here, {"train", "cnn-mnist", "--limit", "512", "--epochs", "3", "--batch", "128", "--out",
             "digits", "--json"})
      .json();
  run(here, {"train", "odenet-mnist", "--limit", "64", "--iterations", "1", "--batch", "32",
             "--solver", "euler:2", "--out", "ode", "--json"})
      .json();

  const Opened digits = open_in_browser(here, "digits/report.html");
  INFO(digits.log);
  CHECK(!has(digits.log, "Uncaught"));
  CHECK(has(digits.document, "<h2>What is taken for what</h2>"));
  CHECK(has(digits.document, "<h2>Most wrong</h2>"));
  CHECK(has(digits.document, ", decided "));
  CHECK(has(digits.document, "mnist, trained with sgd"));  // it has no solver
  CHECK(!has(digits.document, "<h2>How large the state is</h2>"));
  if (!has(digits.document, "aria-label=\"Loss\""))
    SKIP_TEST("the program was built without a chart library");
  for (const char* title : {"Loss", "Accuracy", "Seconds per epoch", "Learning rate"}) {
    INFO(title);
    CHECK(has(digits.document, title));
  }
  CHECK(!has(digits.document, "<h2>Evaluations of the field</h2>"));
  CHECK(charts_drawn(digits));

  // One epoch is no curve; the block's state has one.
  const Opened ode = open_in_browser(here, "ode/report.html");
  INFO(ode.log);
  CHECK(!has(ode.log, "Uncaught"));
  CHECK(has(ode.document, "<h2>Its one epoch</h2>"));
  CHECK(!has(ode.document, "<h2>Loss</h2>"));
  CHECK(has(ode.document, "<h2>How large the state is</h2>"));
  CHECK(has(ode.document, "as euler:2 goes, in 2 steps"));
  CHECK(has(ode.document, "<h2>How fast the state moves</h2>"));
  CHECK(charts_drawn(ode));

  // A page whose script fails is not taken for a good one.
  std::string broken = read(here / "digits/report.html");
  const size_t script = broken.find("const report = ");
  REQUIRE(script != std::string::npos);
  broken.insert(script, "throw new Error('broken');");
  write(here / "broken.html", broken);
  const Opened bad = open_in_browser(here, "broken.html");
  CHECK(has(bad.log, "Uncaught"));
  CHECK(!charts_drawn(bad));
}

TEST_CASE("report: points stand still until they are asked to move, and come to their end") {
  if (browser().empty()) SKIP_TEST("there is no Chromium on this machine");
  Folder here;
  run(here, {"train", "spheres-mlp", "--solver", "euler:3", "--gradient", "through", "--epochs",
             "4", "--out", "points", "--json"})
      .json();
  run(here, {"eval", "points", "--solver", "euler", "--steps", "1,2,4", "--json"}).json();
  const Json plane = Json::parse(read(here / "points/plane.json"));
  CHECK(plane["steps"] == 3);
  CHECK(plane["t"].size() == 4);
  CHECK(plane["moving"].size() == 200);
  CHECK(plane["moving"][0]["path"].size() == 4);
  CHECK(plane["flows"].size() == 25);
  // The flow begins where its point does; many small steps do not end where three do.
  const Json &path = plane["moving"][8]["path"], &flow = plane["flows"][1];
  CHECK(path.front() == flow.front());
  CHECK(path.back() != flow.back());

  const Opened start = open_in_browser(here, "points/report.html");
  INFO(start.log);
  CHECK(!has(start.log, "Uncaught"));
  CHECK(has(start.document, "<h2>What it decides</h2>"));
  CHECK(has(start.document, "<h2>How points move</h2>"));
  CHECK(has(start.document, "euler:3 takes 3 steps"));
  CHECK(!has(start.document, "<h2>Most wrong</h2>"));  // points are no pictures
  CHECK(stands_at(start, "0.00"));
  CHECK(charts_drawn(start));

  add_script(here, "points/report.html", "playing.html",
             "let t = 0; performance.now = () => t;"  // a busy machine may show no frame at all
             "requestAnimationFrame = (frame) => setTimeout(() => frame(t += 500));"
             "document.querySelector('.play').click();");
  const Opened played = open_in_browser(here, "playing.html");
  INFO(played.log);
  CHECK(!has(played.log, "Uncaught"));
  CHECK(stands_at(played, "1.00"));
  CHECK(has(played.document, "Play</button>"));
  CHECK(played.screen.pixels != start.screen.pixels);
  add_script(
      here, "points/report.html", "curves.html",
      "document.title = typeof Chart === 'undefined' ? '' : JSON.stringify(Object.fromEntries("
      "[...document.querySelectorAll('canvas')].map((c) => Chart.getChart(c)).filter(Boolean)"
      ".map((c) => [c.canvas.ariaLabel, Object.fromEntries(c.data.datasets.map("
      "(d) => [d.label, d.data.map((p) => p.y)]))])));");
  const Opened end = open_in_browser(here, "curves.html#t=1");
  CHECK(stands_at(end, "1.00"));

  // Where no motion is wanted, t goes by quarters.
  add_script(
      here, "points/report.html", "calm.html",
      "const seen = new Set(), out = document.querySelector('output');"
      "new MutationObserver(() => { seen.add(out.textContent); document.title = [...seen]; })"
      ".observe(out, { childList: true }); document.querySelector('.play').click();");
  const Opened calm = open_in_browser(here, "calm.html", "--force-prefers-reduced-motion");
  CHECK(has(calm.document, "<title>t = 0.25,t = 0.50,t = 0.75,t = 1.00</title>"));
  CHECK(has(calm.document, "Play</button>"));  // it has stopped by itself

  if (!has(start.document, "aria-label=\"Loss\""))
    SKIP_TEST("the program was built without a chart library");
  CHECK(has(start.document, "<h2>Accuracy under other solvers</h2>"));
  CHECK(has(start.document, "<h2>Evaluations of the field</h2>"));

  // The curves are the columns of metrics.csv.
  const size_t title = end.document.find("<title>") + 7;
  const Json charts =
      Json::parse(end.document.substr(title, end.document.find("</title>") - title));
  std::istringstream rows(read(here / "points/metrics.csv"));
  std::vector<std::vector<double>> columns(10);
  std::string row, cell;
  std::getline(rows, row);
  while (std::getline(rows, row)) {
    std::istringstream cells(row);
    for (auto& column : columns) {
      std::getline(cells, cell, ',');
      column.push_back(std::stod(cell));
    }
  }
  CHECK(charts["Loss"] == Json({{"train", columns[4]}, {"test", columns[6]}}));
  CHECK(charts["Accuracy"] == Json({{"train", columns[5]}, {"test", columns[7]}}));
  CHECK(charts["Learning rate"] == Json({{"rate", columns[3]}}));
  REQUIRE(columns[8] != columns[9]);
  CHECK(charts["Evaluations of the field"] ==
        Json({{"forward", columns[8]}, {"backward", columns[9]}}));
}

TEST_CASE("report: three classes have their names; a run that went wrong says so") {
  Folder here;
  run(here,
      {"train", "spheres-mlp", "--data", "minima", "--epochs", "1", "--out", "minima", "--json"})
      .json();
  const Json plane = Json::parse(read(here / "minima/plane.json"));
  CHECK(plane["classes"] == Json{"-0.850", "0.269", "1.839"});
  CHECK(plane["head"]["weight"].size() == 3);
  CHECK(read(here / "minima/report.html").find("\"notice\":\"\"") != std::string::npos);

  const Result bad = run(here, {"train", "spheres-mlp", "--optimizer", "sgd", "--lr", "1e30",
                                "--out", "bad", "--quiet"});
  CHECK(bad.status == 1);
  const std::string failed = read(here / "bad/report.html");
  CHECK(failed.find("This run failed") != std::string::npos);
  CHECK(failed.find("Lower --lr") != std::string::npos);

  Running stopping(here, {"train", "spheres-mlp", "--epochs", "100000", "--out", "cut", "--quiet"});
  while (!fs::exists(here / "cut/model.safetensors") && !stopping.ended())
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  CHECK(read(here / "cut/outcome.json").find("running") != std::string::npos);
  stopping.signal(SIGINT);
  CHECK(stopping.wait().status == 130);
  CHECK(read(here / "cut/report.html").find("This run was stopped") != std::string::npos);

  if (browser().empty()) SKIP_TEST("there is no Chromium on this machine");
  for (const char* page : {"minima/report.html", "bad/report.html", "cut/report.html"}) {
    const Opened opened = open_in_browser(here, page);
    INFO(opened.log);
    CHECK(!has(opened.log, "Uncaught"));
    CHECK(has(opened.document, "class=\"notice\"") == (std::string(page) != "minima/report.html"));
  }
}
