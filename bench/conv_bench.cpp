// Convolution: all routes side by side, all passes, on the shapes of the published models.
//
//   conv_bench [--threads N] [--seconds S] [--batch N] [--only TEXT]
//
// Times are minima in microseconds, with the weights' layout kept (`us`), as in an ODE solve.
// `chosen` is the route that slope takes. --only: float32 and rows with this in their name.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <vector>

#include "backends/cpu/conv.h"
#include "backends/cpu/isa.h"
#include "backends/cpu/threads.h"

namespace {

using namespace slope::cpu;

double seconds_per_case = 0.1;
const char* only = "";

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// The shortest time of one call, in seconds. Calls are timed in groups of at least 20 us.
double shortest(const std::function<void()>& call) {
  call();
  double start = now();
  call();
  const int group = std::max(1, static_cast<int>(20e-6 / std::max(now() - start, 1e-9)));
  double best = 1e30;
  const double end = now() + seconds_per_case;
  do {
    start = now();
    for (int i = 0; i < group; ++i) call();
    best = std::min(best, (now() - start) / group);
  } while (now() < end);
  return best;
}

using Memory = std::unique_ptr<void, void (*)(void*)>;

Memory allocate(size_t bytes) {
  Memory memory(std::aligned_alloc(64, (bytes + 64) / 64 * 64), std::free);
  std::memset(memory.get(), 0, bytes);
  return memory;
}

template <typename T>
Memory random_values(int64_t count) {
  Memory memory = allocate(static_cast<size_t>(count) * sizeof(T));
  std::mt19937 generator(1);
  std::uniform_real_distribution<T> uniform(-1, 1);
  std::generate_n(static_cast<T*>(memory.get()), count, [&] { return uniform(generator); });
  return memory;
}

struct Row {
  const char* what;
  ConvShape shape;
};

ConvShape shape(int64_t height, int64_t width, int64_t channels, int64_t filters,
                int64_t kernel_height, int64_t kernel_width, int64_t stride = 1,
                int64_t padding = 0) {
  ConvShape s;
  s.height = height, s.width = width, s.channels = channels, s.filters = filters;
  s.kernel_height = kernel_height, s.kernel_width = kernel_width;
  s.stride_height = height > 1 ? stride : 1, s.stride_width = stride;
  s.padding_height = height > 1 ? padding : 0, s.padding_width = padding;
  return s;
}

template <typename T>
double seconds(const ConvShape& s, ConvPass pass, ConvRoute route) {
  Convolution<T> convolution(s, pass, route);
  const Memory x = random_values<T>(s.batch * s.height * s.width * s.channels),
               w = random_values<T>(s.filters * s.kernel_height * s.kernel_width *
                                    s.group_channels()),
               y = random_values<T>(s.batch * s.output_height() * s.output_width() * s.filters),
               bias = random_values<T>(s.filters), scratch = allocate(convolution.scratch_bytes());
  T* const x_data = static_cast<T*>(x.get());
  T* const w_data = static_cast<T*>(w.get());
  T* const y_data = static_cast<T*>(y.get());
  return shortest([&] {
    if (pass == ConvPass::forward) {
      convolution.run(x_data, w_data, static_cast<T*>(bias.get()), y_data, scratch.get(), {1, 1});
    } else if (pass == ConvPass::data_gradient) {
      convolution.run(y_data, w_data, nullptr, x_data, scratch.get(), {1, 1});
    } else {
      convolution.run(x_data, y_data, nullptr, w_data, scratch.get());
    }
  });
}

template <typename T>
void table(int64_t batch) {
  const Row rows[] = {
      {"odenet-mnist field", shape(6, 6, 64, 64, 3, 3, 1, 1)},
      {"resnet stem field", shape(7, 7, 64, 64, 3, 3, 1, 1)},
      {"stem 26 -> 13", shape(26, 26, 64, 64, 4, 4, 2, 1)},
      {"stem 13 -> 6", shape(13, 13, 64, 64, 4, 4, 2, 1)},
      {"stem first", shape(28, 28, 1, 64, 3, 3)},
      {"shortcut 1x1 stride 2", shape(26, 26, 64, 64, 1, 1, 2)},
      {"cifar first", shape(32, 32, 3, 64, 3, 3, 1, 1)},
      {"16 channels, 6x6", shape(6, 6, 16, 16, 3, 3, 1, 1)},
      {"32 channels, 6x6", shape(6, 6, 32, 32, 3, 3, 1, 1)},
      {"64 channels, 8x8", shape(8, 8, 64, 64, 3, 3, 1, 1)},
      {"64 channels, 13x13", shape(13, 13, 64, 64, 3, 3, 1, 1)},
      {"64 channels, 14x14", shape(14, 14, 64, 64, 3, 3, 1, 1)},
      {"cifar 64, 32x32", shape(32, 32, 64, 64, 3, 3, 1, 1)},
      {"cifar 128, 16x16", shape(16, 16, 128, 128, 3, 3, 1, 1)},
      {"cifar 512, 4x4", shape(4, 4, 512, 512, 3, 3, 1, 1)},
      {"spheres 1 -> 32, k1", shape(1, 2, 1, 32, 1, 1)},
      {"spheres 32 -> 32, k1", shape(1, 2, 32, 32, 1, 1)},
      {"spheres 32 -> 32, k3", shape(1, 2, 32, 32, 1, 3, 1, 1)},
      {"spheres 1 -> 32, k3", shape(1, 2, 1, 32, 1, 3, 1, 1)},
      {"spheres 32 -> 1, k1", shape(1, 2, 32, 1, 1, 1)},
      {"8 channels, 16x16", shape(16, 16, 8, 8, 3, 3, 1, 1)},
      {"16 channels, 16x16", shape(16, 16, 16, 16, 3, 3, 1, 1)},
      {"16 channels, 4x4", shape(4, 4, 16, 16, 3, 3, 1, 1)},
      {"32 channels, 4x4", shape(4, 4, 32, 32, 3, 3, 1, 1)},
  };
  const struct {
    const char* name;
    ConvPass pass;
  } passes[] = {{"forward", ConvPass::forward},
                {"data", ConvPass::data_gradient},
                {"weights", ConvPass::weight_gradient}};
  std::printf("\n%s, %s, %d threads, batch %lld\n", sizeof(T) == 4 ? "float32" : "float64",
              name(isa()), threads(), static_cast<long long>(batch));
  std::printf("%-24s %-8s %10s %9s %10s %9s %11s %9s  %s\n", "", "", "own us", "GFLOP/s",
              "oneDNN us", "GFLOP/s", "Winograd us", "GFLOP/s", "chosen");
  for (Row row : rows) {
    if (!std::strstr(row.what, only)) continue;
    row.shape.batch = batch;
    const ConvShape& s = row.shape;
    const double operations =
        2e-9 * static_cast<double>(s.batch * s.output_height() * s.output_width()) *
        static_cast<double>(s.filters * s.group_channels() * s.kernel_height * s.kernel_width);
    for (const auto& pass : passes) {
      std::printf("%-24s %-8s", row.what, pass.name);
      for (const ConvRoute route : {ConvRoute::own, ConvRoute::onednn, ConvRoute::winograd}) {
        const int width = route == ConvRoute::winograd ? 11 : 10;
        try {
          const double found = seconds<T>(s, pass.pass, route);
          std::printf(" %*.1f %9.1f", width, found * 1e6, operations / found);
        } catch (const std::exception&) {
          std::printf(" %*s %9s", width, "-", "-");
        }
        std::fflush(stdout);
      }
      const ConvRoute chosen = Convolution<T>(s, pass.pass).route();
      std::printf("  %s\n", chosen == ConvRoute::own      ? "own"
                            : chosen == ConvRoute::onednn ? "oneDNN"
                                                          : "Winograd");
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  int64_t batch = 128;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (std::strcmp(argv[i], "--threads") == 0) set_threads(std::atoi(argv[i + 1]));
    if (std::strcmp(argv[i], "--seconds") == 0) seconds_per_case = std::atof(argv[i + 1]);
    if (std::strcmp(argv[i], "--batch") == 0) batch = std::atol(argv[i + 1]);
    if (std::strcmp(argv[i], "--only") == 0) only = argv[i + 1];
  }
  table<float>(batch);
  if (!*only) table<double>(batch);
  return 0;
}
