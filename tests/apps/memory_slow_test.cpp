// What a training holds does not grow with the number of its steps.
#include <sys/resource.h>

#include "tests/apps/program.h"

using namespace slope::program_test;

namespace {

// The most memory that a program started from here ever had, in bytes; never falls.
int64_t largest_child() {
  rusage usage{};
  ::getrusage(RUSAGE_CHILDREN, &usage);
  return 1024 * static_cast<int64_t>(usage.ru_maxrss);
}

}  // namespace

TEST_CASE("memory: 1200 steps on pictures, augmented, hold what 100 steps hold") {
  const Folder here;
  const auto train = [&](const std::string& steps) {
    run(here, {"train", "metanode4,width=8", "--solver", "euler:2", "--batch", "16", "--data-dir",
               slope::test::source_dir() + "/data/cifar10-sample", "--augment",
               "crop,padding=4,flip", "--iterations", steps, "--out", steps, "--json"})
        .json();
    return largest_child();
  };
  const int64_t few = train("100"), many = train("1200");
  INFO(few, " and ", many);
  CHECK(few > 10'000'000);
  CHECK(many < few + 4'000'000);  // 3.6 kB a step; a batch alone is 196 kB
}
