// One block of a matrix product on one thread, compiled once per instruction set.
//
// A tile of C (tile_rows x two vectors) stays in registers while the depth runs by: per step one
// value of X per row is broadcast and multiplied with two vectors of Y. Everything else here brings
// Y into that form and C out of it.
#include "backends/cpu/gemm_kernel.h"

#include "backends/cpu/gemm.h"
#include "backends/cpu/gemm_simd.h"

namespace slope::cpu::SLOPE_ISA {
namespace {

template <typename T>
constexpr int kStrip = Simd<T>::lanes* Simd<T>::tile_vectors;

enum class Start { zero, bias, result };  // what the tile's sums are added to

template <typename T>
struct Tile {
  int64_t depth;
  const T* x;
  int64_t x_row, x_depth;
  const T* y;
  int64_t y_depth;
  T* c;
  int64_t c_row;
  int64_t columns;  // 1 .. vectors * lanes; the others are computed and dropped
  Start start;
  const T* bias;
};

// C (rows, columns) = start + X (rows, depth) Y (depth, columns).
template <typename T, int rows, int vectors>
void multiply_tile(const Tile<T>& tile) {
  using S = Simd<T>;
  using Vector = typename S::Vector;
  constexpr int lanes = S::lanes;
  Vector sum[rows][vectors];
#pragma GCC unroll 16
  for (int i = 0; i < rows; ++i) {
#pragma GCC unroll 2
    for (int v = 0; v < vectors; ++v) sum[i][v] = Vector{};
  }

  const T* x = tile.x;
  const T* y = tile.y;
  const int64_t x_row = tile.x_row, x_depth = tile.x_depth, y_depth = tile.y_depth;
  for (int64_t p = 0; p < tile.depth; ++p) {
    Vector y_vector[vectors];
#pragma GCC unroll 2
    for (int v = 0; v < vectors; ++v) y_vector[v] = S::load(y + v * lanes);
#pragma GCC unroll 16
    for (int i = 0; i < rows; ++i) {
      const Vector value = S::broadcast(x[i * x_row]);
#pragma GCC unroll 2
      for (int v = 0; v < vectors; ++v) {
        sum[i][v] = S::multiply_add(value, y_vector[v], sum[i][v]);
      }
    }
    x += x_depth;
    y += y_depth;
  }

  // The last vector may stick out of C.
  const int64_t last = tile.columns - (vectors - 1) * lanes;
  const auto load = [&](const T* p, int v) {
    return v < vectors - 1 || last == lanes ? S::load(p + v * lanes)
                                            : S::load_first(p + v * lanes, last);
  };
  T* c = tile.c;
#pragma GCC unroll 16
  for (int i = 0; i < rows; ++i) {
#pragma GCC unroll 2
    for (int v = 0; v < vectors; ++v) {
      Vector value = sum[i][v];
      if (tile.start == Start::result) value += load(c, v);
      if (tile.start == Start::bias) value += load(tile.bias, v);
      if (v < vectors - 1 || last == lanes) {
        S::store(c + v * lanes, value);
      } else {
        S::store_first(c + v * lanes, value, last);
      }
    }
    c += tile.c_row;
  }
}

// multiply_tile for any number of rows up to tile_rows: kTiles<T>[vectors - 1][rows - 1].
template <typename T>
using TileFunction = void (*)(const Tile<T>&);

template <typename T>
struct TileTable {
  TileFunction<T> function[2][Simd<T>::tile_rows];
};

template <typename T, int... i>
constexpr TileTable<T> tile_table(std::integer_sequence<int, i...>) {
  return {{{multiply_tile<T, i + 1, 1>...}, {multiply_tile<T, i + 1, 2>...}}};
}

template <typename T>
constexpr TileTable<T> kTiles =
    tile_table<T>(std::make_integer_sequence<int, Simd<T>::tile_rows>());

constexpr int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

// The width in memory of a packed strip with this many columns.
template <typename T>
int64_t packed_width(int64_t columns) {
  return columns <= Simd<T>::lanes ? Simd<T>::lanes : kStrip<T>;
}

// Packs a Y whose columns are contiguous. Its rows can be far apart, where the hardware does not
// prefetch.
template <typename T>
void pack_rows(const T* y, int64_t y_depth, int64_t depth, int64_t columns, T* packed,
               int64_t width) {
  using S = Simd<T>;
  constexpr int64_t ahead = 16;
  const int64_t last = columns - (width - S::lanes);
  for (int64_t p = 0; p < depth; ++p, y += y_depth, packed += width) {
    const T* soon = y + (p + ahead < depth ? ahead * y_depth : 0);
    __builtin_prefetch(soon);
    __builtin_prefetch(soon + columns - 1);
    int64_t j = 0;
    for (; j < width - S::lanes; j += S::lanes) S::store(packed + j, S::load(y + j));
    S::store(packed + j, last == S::lanes ? S::load(y + j) : S::load_first(y + j, last));
  }
}

// Packs one vector of columns (count of them real) of a Y that is contiguous along the depth, in
// squares that are transposed in registers. The columns of the next vector are fetched meanwhile.
template <typename T>
void pack_columns(const T* y, int64_t y_column, int64_t depth, int64_t count, T* packed,
                  int64_t width) {
  using S = Simd<T>;
  constexpr int64_t lanes = S::lanes;
  typename S::Vector square[lanes];
  int64_t p = 0;
  if (count == lanes) {
    for (; p + lanes <= depth; p += lanes) {
#pragma GCC unroll 16
      for (int64_t i = 0; i < lanes; ++i) {
        square[i] = S::load(y + i * y_column + p);
        __builtin_prefetch(y + (i + lanes) * y_column + p);
      }
      transpose<T>(square);
#pragma GCC unroll 16
      for (int64_t i = 0; i < lanes; ++i) S::store(packed + (p + i) * width, square[i]);
    }
  }
  for (; p < depth; p += lanes) {
    const int64_t steps = smaller(lanes, depth - p);
    for (int64_t i = 0; i < lanes; ++i) {
      square[i] = i < count ? S::load_first(y + i * y_column + p, steps) : typename S::Vector{};
    }
    transpose<T>(square);
    for (int64_t i = 0; i < steps; ++i) S::store(packed + (p + i) * width, square[i]);
  }
}

// Writes Y (depth, columns) to packed (depth, width), columns past the end as zeros.
template <typename T>
void pack_strip(const T* y, int64_t y_depth, int64_t y_column, int64_t depth, int64_t columns,
                T* packed) {
  constexpr int64_t lanes = Simd<T>::lanes;
  const int64_t width = packed_width<T>(columns);
  if (y_column == 1) {
    pack_rows(y, y_depth, depth, columns, packed, width);
  } else if (y_depth == 1) {
    for (int64_t j = 0; j < width; j += lanes) {
      pack_columns(y + j * y_column, y_column, depth, smaller(lanes, columns - j), packed + j,
                   width);
    }
  } else {
    for (int64_t p = 0; p < depth; ++p) {
      for (int64_t j = 0; j < width; ++j) {
        packed[p * width + j] = j < columns ? y[p * y_depth + j * y_column] : T(0);
      }
    }
  }
}

// Adds finished sums (rows, kStrip) to C where C's columns are not contiguous.
template <typename T>
void scatter_tile(const GemmOperands<T>& problem, const T* sums, int64_t row, int64_t rows,
                  int64_t column, int64_t columns, bool first) {
  const int64_t c_column = problem.c_column;
  for (int64_t i = 0; i < rows; ++i, sums += kStrip<T>) {
    T* c = problem.c + (row + i) * problem.c_row + column * c_column;
    if (!first || problem.accumulate) {
      for (int64_t j = 0; j < columns; ++j) c[j * c_column] += sums[j];
    } else if (problem.bias) {
      const T* bias = problem.bias + (row + i) * problem.bias_row + column * problem.bias_column;
      for (int64_t j = 0; j < columns; ++j) {
        c[j * c_column] = sums[j] + bias[j * problem.bias_column];
      }
    } else {
      for (int64_t j = 0; j < columns; ++j) c[j * c_column] = sums[j];
    }
  }
}

// The rows of X that one tile needs over a block of the depth, where they lie or copied.
template <typename T>
struct Panel {
  const T* x;
  int64_t x_row, x_depth;
};

// Rows of X a multiple of the page size apart would all want the same few lines of the first-level
// cache. They are copied to rows that are not.
template <typename T>
bool rows_collide(const GemmOperands<T>& problem) {
  return problem.x_depth == 1 && problem.x_row % (4096 / sizeof(T)) == 0 && problem.depth >= 64;
}

template <typename T>
constexpr int64_t kPanelRow = kGemmDepth + 64 / sizeof(T);

template <typename T>
Panel<T> copy_panel(const Panel<T>& from, int64_t rows, int64_t depth, T* to) {
  using S = Simd<T>;
  for (int64_t i = 0; i < rows; ++i) {
    const T* source = from.x + i * from.x_row;
    T* target = to + i * kPanelRow<T>;
    int64_t p = 0;
    for (; p + S::lanes <= depth; p += S::lanes) S::store(target + p, S::load(source + p));
    if (p < depth) S::store(target + p, S::load_first(source + p, depth - p));
  }
  return {to, kPanelRow<T>, 1};
}

// A block of Y over a block of the depth: (depth, columns), whole vectors at each step.
template <typename T>
struct Strip {
  const T* y;
  int64_t y_depth;
  int64_t column, columns;  // in C
};

// Sums one tile over a block of the depth and puts it into C.
template <typename T>
void multiply_into(const GemmOperands<T>& problem, const Panel<T>& panel, const Strip<T>& strip,
                   int64_t row, int64_t rows, int64_t depth, bool first) {
  const bool direct = problem.c_column == 1 && !(problem.bias && problem.bias_row);
  alignas(64) T sums[Simd<T>::tile_rows * kStrip<T>];

  Tile<T> tile;
  tile.depth = depth;
  tile.x = panel.x;
  tile.x_row = panel.x_row;
  tile.x_depth = panel.x_depth;
  tile.y = strip.y;
  tile.y_depth = strip.y_depth;
  tile.c = direct ? problem.c + row * problem.c_row + strip.column : sums;
  tile.c_row = direct ? problem.c_row : kStrip<T>;
  tile.columns = strip.columns;
  tile.start = Start::zero;
  tile.bias = nullptr;
  if (direct && (!first || problem.accumulate)) {
    tile.start = Start::result;
  } else if (direct && problem.bias) {
    tile.start = Start::bias;
    tile.bias = problem.bias + strip.column;
  }
  kTiles<T>.function[strip.columns <= Simd<T>::lanes ? 0 : 1][rows - 1](tile);
  if (!direct) scatter_tile(problem, sums, row, rows, strip.column, strip.columns, first);
}

// Finds or makes the strip of Y at this column and depth. y is read where it lies if it has whole
// vectors and is used so seldom that a copy would cost more.
template <typename T>
Strip<T> make_strip(const GemmOperands<T>& problem, int64_t column, int64_t columns,
                    int64_t depth_begin, int64_t depth, int64_t tiles, T* packed) {
  const int64_t width = packed_width<T>(columns);
  if (problem.y_packed) {
    return {problem.y + column * problem.depth + depth_begin * width, width, column, columns};
  }
  const T* y = problem.y + depth_begin * problem.y_depth + column * problem.y_column;
  if (problem.y_column == 1 && columns % Simd<T>::lanes == 0 && tiles <= 3) {
    return {y, problem.y_depth, column, columns};
  }
  pack_strip(y, problem.y_depth, problem.y_column, depth, columns, packed);
  return {packed, width, column, columns};
}

// Columns are taken in groups of strips, and the depth in blocks, so that a group's block of Y (128
// KiB) stays in the second-level cache and the rows of X that a tile needs in the first, while
// every tile of the group is computed.
template <typename T>
void block(const GemmOperands<T>& problem, int64_t row_begin, int64_t row_end, int64_t column_begin,
           int64_t column_end) {
  using S = Simd<T>;
  constexpr int64_t group = 4;
  alignas(64) T packed[group][kGemmDepth * kStrip<T>];
  alignas(64) T copied[S::tile_rows * kPanelRow<T>];
  Strip<T> strips[group];

  // Tiles of nearly equal height instead of full ones and a low rest.
  const int64_t rows = row_end - row_begin;
  const int64_t tiles = (rows + S::tile_rows - 1) / S::tile_rows;
  const int64_t height = rows / tiles, higher = rows % tiles;
  const bool copy = rows_collide(problem);

  for (int64_t j = column_begin; j < column_end; j += group * kStrip<T>) {
    const int64_t count = smaller(group, (column_end - j + kStrip<T> - 1) / kStrip<T>);
    for (int64_t p = 0; p < problem.depth; p += kGemmDepth) {
      const int64_t depth = smaller(kGemmDepth, problem.depth - p);
      for (int64_t s = 0; s < count; ++s) {
        const int64_t column = j + s * kStrip<T>;
        strips[s] = make_strip(problem, column, smaller(kStrip<T>, column_end - column), p, depth,
                               tiles, packed[s]);
      }
      int64_t row = row_begin;
      for (int64_t t = 0; t < tiles; ++t) {
        const int64_t tile_rows = height + (t < higher ? 1 : 0);
        Panel<T> panel{problem.x + row * problem.x_row + p * problem.x_depth, problem.x_row,
                       problem.x_depth};
        if (copy) panel = copy_panel(panel, tile_rows, depth, copied);
        for (int64_t s = 0; s < count; ++s) {
          multiply_into(problem, panel, strips[s], row, tile_rows, depth, p == 0);
        }
        row += tile_rows;
      }
    }
  }
}

template <typename T>
void pack(const GemmOperands<T>& problem, int64_t column_begin, T* packed) {
  pack_strip(problem.y + column_begin * problem.y_column, problem.y_depth, problem.y_column,
             problem.depth, smaller(kStrip<T>, problem.columns - column_begin),
             packed + column_begin * problem.depth);
}

}  // namespace

const GemmKernels<float> kGemmFloat = {Simd<float>::lanes, Simd<float>::tile_rows, kStrip<float>,
                                       block<float>, pack<float>};
const GemmKernels<double> kGemmDouble = {Simd<double>::lanes, Simd<double>::tile_rows,
                                         kStrip<double>, block<double>, pack<double>};

}  // namespace slope::cpu::SLOPE_ISA
