#include "backends/cpu/conv_patches.h"

#include <algorithm>
#include <cstring>

namespace slope::cpu {
namespace {

// Short copies inline, long ones by memcpy, whose call costs as much as copying some 64 values.
template <typename T>
void copy_values(const T* from, int64_t count, T* to) {
  if (count > 64) {
    std::memcpy(to, from, static_cast<size_t>(count) * sizeof(T));
  } else {
    for (int64_t i = 0; i < count; ++i) to[i] = from[i];
  }
}

// The taps [first, last) of `taps` that fall inside a source of `size` when the tap 0 is at
// `start`.
struct Inside {
  int64_t first, last;
  Inside(int64_t start, int64_t tap, int64_t taps, int64_t size) {
    first = start >= 0 ? 0 : std::min(taps, (-start + tap - 1) / tap);
    last = start >= size ? first : std::clamp((size - start + tap - 1) / tap, first, taps);
  }
};

// Positions in one line of one image.
struct Run {
  int64_t image, u, v;    // the first of them
  int64_t first, length;  // counted from `begin`
};

// Cuts positions [begin, begin + count) into runs, in order.
template <typename Body>
void for_each_run(const PatchGrid& grid, int64_t begin, int64_t count, const Body& body) {
  Run run{begin / grid.positions(), begin % grid.positions() / grid.positions_width,
          begin % grid.positions_width, 0, 0};
  for (; run.first < count; run.first += run.length) {
    run.length = std::min(count - run.first, grid.positions_width - run.v);
    body(run);
    run.v = 0;
    if (++run.u == grid.positions_height) run.u = 0, ++run.image;
  }
}

// What a run sees at one tap: position j of it the pixel `pixel` plus j steps, if begin <= j < end.
struct PixelRun {
  int64_t pixel, begin, end;
  int64_t step;  // in values
  PixelRun(const PatchGrid& grid, const Run& run, int64_t r, int64_t s) {
    const int64_t h = run.u * grid.step_height + grid.offset_height + r * grid.tap_height;
    const int64_t w = run.v * grid.step_width + grid.offset_width + s * grid.tap_width;
    const int64_t width = h < 0 || h >= grid.height ? 0 : grid.width;
    const Inside inside(w, grid.step_width, run.length, width);
    pixel = (run.image * grid.height + h) * grid.width + w;
    begin = inside.first, end = inside.last;
    step = grid.step_width * grid.channels;
  }
};

}  // namespace

template <typename T>
void gather_patches_position_major(const PatchGrid& grid, const T* source, int64_t begin,
                                   int64_t count, int64_t channel, int64_t channels,
                                   int64_t tap_begin, int64_t tap_end, int64_t row, T* patches) {
  const int64_t line = grid.taps_width * channels;  // of a patch: (s, c)
  // All channels and neighbouring taps: a line of a patch is a piece of a line of the image.
  const bool contiguous = channels == grid.channels && grid.tap_width == 1;
  int64_t image = begin / grid.positions(), u = begin % grid.positions() / grid.positions_width,
          v = begin % grid.positions_width;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t w = v * grid.step_width + grid.offset_width;
    const Inside inside(w, grid.tap_width, grid.taps_width, grid.width);
    T* patch = patches + i * row;
    for (int64_t r = tap_begin; r < tap_end; ++r, patch += line) {
      const int64_t h = u * grid.step_height + grid.offset_height + r * grid.tap_height;
      if (h < 0 || h >= grid.height) {
        std::fill(patch, patch + line, T(0));
        continue;
      }
      const int64_t from = ((image * grid.height + h) * grid.width + w) * grid.channels + channel;
      std::fill(patch, patch + inside.first * channels, T(0));
      if (contiguous) {
        copy_values(source + (from + inside.first * channels),
                    (inside.last - inside.first) * channels, patch + inside.first * channels);
      } else {
        for (int64_t s = inside.first; s < inside.last; ++s) {
          copy_values(source + (from + s * grid.tap_width * grid.channels), channels,
                      patch + s * channels);
        }
      }
      std::fill(patch + inside.last * channels, patch + line, T(0));
    }
    if (++v == grid.positions_width) {
      v = 0;
      if (++u == grid.positions_height) u = 0, ++image;
    }
  }
}

template <typename T>
void gather_patches_tap_major(const PatchGrid& grid, const T* source, int64_t begin, int64_t count,
                              int64_t channel, int64_t channels, int64_t tap_begin, int64_t tap_end,
                              T* patches) {
  for_each_run(grid, begin, count, [&](const Run& run) {
    for (int64_t r = tap_begin; r < tap_end; ++r) {
      for (int64_t s = 0; s < grid.taps_width; ++s) {
        const PixelRun seen(grid, run, r, s);
        int64_t from = seen.pixel * grid.channels + channel;
        T* to = patches + ((r - tap_begin) * grid.taps_width + s) * channels * count + run.first;
        for (int64_t c = 0; c < channels; ++c, ++from, to += count) {
          std::fill(to, to + seen.begin, T(0));
          if (seen.step == 1) {
            copy_values(source + (from + seen.begin), seen.end - seen.begin, to + seen.begin);
          } else {
            for (int64_t j = seen.begin; j < seen.end; ++j) to[j] = source[from + j * seen.step];
          }
          std::fill(to + seen.end, to + run.length, T(0));
        }
      }
    }
  });
}

template <typename T>
void add_to_patches_tap_major(const PatchGrid& grid, const T* patches, int64_t begin, int64_t count,
                              int64_t channel, int64_t channels, T* target) {
  for_each_run(grid, begin, count, [&](const Run& run) {
    for (int64_t r = 0; r < grid.taps_height; ++r) {
      for (int64_t s = 0; s < grid.taps_width; ++s) {
        const PixelRun seen(grid, run, r, s);
        int64_t to = seen.pixel * grid.channels + channel;
        const T* from = patches + (r * grid.taps_width + s) * channels * count + run.first;
        for (int64_t c = 0; c < channels; ++c, ++to, from += count) {
          if (seen.step == 1) {
            for (int64_t j = seen.begin; j < seen.end; ++j) target[to + j] += from[j];
          } else {
            for (int64_t j = seen.begin; j < seen.end; ++j) target[to + j * seen.step] += from[j];
          }
        }
      }
    }
  });
}

#define SLOPE_INSTANTIATE(T)                                                                       \
  template void gather_patches_position_major<T>(const PatchGrid&, const T*, int64_t, int64_t,     \
                                                 int64_t, int64_t, int64_t, int64_t, int64_t, T*); \
  template void gather_patches_tap_major<T>(const PatchGrid&, const T*, int64_t, int64_t, int64_t, \
                                            int64_t, int64_t, int64_t, T*);                        \
  template void add_to_patches_tap_major<T>(const PatchGrid&, const T*, int64_t, int64_t, int64_t, \
                                            int64_t, T*);
SLOPE_INSTANTIATE(float)
SLOPE_INSTANTIATE(double)
#undef SLOPE_INSTANTIATE

}  // namespace slope::cpu
