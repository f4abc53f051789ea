// The vectors of the instruction set that a kernel file is being compiled for (SLOPE_ISA), just
// enough for the matrix product: broadcast, load, store, multiply-add, and a square transpose.
// Include it from *_kernel.cpp files only.
#pragma once

#include <cstdint>
#include <utility>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace slope::cpu::SLOPE_ISA {

// Simd<T>::Vector holds `lanes` values. *_first(p, count) touch only the first `count` values in
// memory, the others read as zero; tile_rows x tile_vectors accumulators, with two operands beside
// them, just fit the registers.
template <typename T>
struct Simd;

#if defined(__AVX512F__)

template <>
struct Simd<float> {
  using Vector = __m512;
  static constexpr int lanes = 16, tile_rows = 14, tile_vectors = 2;
  static Vector broadcast(float x) { return _mm512_set1_ps(x); }
  static Vector load(const float* p) { return _mm512_loadu_ps(p); }
  static void store(float* p, Vector v) { _mm512_storeu_ps(p, v); }
  static Vector multiply_add(Vector a, Vector b, Vector c) { return _mm512_fmadd_ps(a, b, c); }
  static __mmask16 first(int64_t count) { return static_cast<__mmask16>((1u << count) - 1); }
  static Vector load_first(const float* p, int64_t n) { return _mm512_maskz_loadu_ps(first(n), p); }
  static void store_first(float* p, Vector v, int64_t n) { _mm512_mask_storeu_ps(p, first(n), v); }
};

template <>
struct Simd<double> {
  using Vector = __m512d;
  static constexpr int lanes = 8, tile_rows = 14, tile_vectors = 2;
  static Vector broadcast(double x) { return _mm512_set1_pd(x); }
  static Vector load(const double* p) { return _mm512_loadu_pd(p); }
  static void store(double* p, Vector v) { _mm512_storeu_pd(p, v); }
  static Vector multiply_add(Vector a, Vector b, Vector c) { return _mm512_fmadd_pd(a, b, c); }
  static __mmask8 first(int64_t count) { return static_cast<__mmask8>((1u << count) - 1); }
  static Vector load_first(const double* p, int64_t n) {
    return _mm512_maskz_loadu_pd(first(n), p);
  }
  static void store_first(double* p, Vector v, int64_t n) { _mm512_mask_storeu_pd(p, first(n), v); }
};

#elif defined(__AVX2__)

template <>
struct Simd<float> {
  using Vector = __m256;
  static constexpr int lanes = 8, tile_rows = 6, tile_vectors = 2;
  static Vector broadcast(float x) { return _mm256_set1_ps(x); }
  static Vector load(const float* p) { return _mm256_loadu_ps(p); }
  static void store(float* p, Vector v) { _mm256_storeu_ps(p, v); }
  static Vector multiply_add(Vector a, Vector b, Vector c) { return _mm256_fmadd_ps(a, b, c); }
  static __m256i first(int64_t count) {
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)), lane);
  }
  static Vector load_first(const float* p, int64_t n) { return _mm256_maskload_ps(p, first(n)); }
  static void store_first(float* p, Vector v, int64_t n) { _mm256_maskstore_ps(p, first(n), v); }
};

template <>
struct Simd<double> {
  using Vector = __m256d;
  static constexpr int lanes = 4, tile_rows = 6, tile_vectors = 2;
  static Vector broadcast(double x) { return _mm256_set1_pd(x); }
  static Vector load(const double* p) { return _mm256_loadu_pd(p); }
  static void store(double* p, Vector v) { _mm256_storeu_pd(p, v); }
  static Vector multiply_add(Vector a, Vector b, Vector c) { return _mm256_fmadd_pd(a, b, c); }
  static __m256i first(int64_t count) {
    return _mm256_cmpgt_epi64(_mm256_set1_epi64x(count), _mm256_setr_epi64x(0, 1, 2, 3));
  }
  static Vector load_first(const double* p, int64_t n) { return _mm256_maskload_pd(p, first(n)); }
  static void store_first(double* p, Vector v, int64_t n) { _mm256_maskstore_pd(p, first(n), v); }
};

#else

// Any processor: the compiler's own 16-byte vectors. Without a fused instruction a multiply-add
// rounds twice.
template <typename T>
struct Simd {
  using Vector [[gnu::vector_size(16)]] = T;
  using Unaligned [[gnu::vector_size(16), gnu::aligned(alignof(T)), gnu::may_alias]] = T;
  static constexpr int lanes = 16 / sizeof(T), tile_rows = 6, tile_vectors = 2;
  static Vector broadcast(T x) { return x - Vector{}; }
  static Vector load(const T* p) { return *reinterpret_cast<const Unaligned*>(p); }
  static void store(T* p, Vector v) { *reinterpret_cast<Unaligned*>(p) = v; }
  static Vector multiply_add(Vector a, Vector b, Vector c) { return a * b + c; }
  static Vector load_first(const T* p, int64_t n) {
    Vector v{};
    for (int64_t i = 0; i < n; ++i) v[i] = p[i];
    return v;
  }
  static void store_first(T* p, Vector v, int64_t n) {
    for (int64_t i = 0; i < n; ++i) p[i] = v[i];
  }
};

#endif

// Rows become columns: on return lane j of rows[i] is what lane i of rows[j] was. log2(lanes)
// rounds of a perfect shuffle: row i and row i + lanes / 2 are interleaved into rows 2 i and 2 i
// + 1.
template <typename T, int... lane>
[[gnu::always_inline]] inline void transpose_lanes(typename Simd<T>::Vector* rows,
                                                   std::integer_sequence<int, lane...>) {
  using Vector = typename Simd<T>::Vector;
  constexpr int lanes = Simd<T>::lanes, half = lanes / 2;
#pragma GCC unroll 4
  for (int round = 1; round < lanes; round *= 2) {
    Vector shuffled[lanes];
#pragma GCC unroll 8
    for (int i = 0; i < half; ++i) {
      const Vector a = rows[i], b = rows[i + half];
      shuffled[2 * i] = __builtin_shufflevector(a, b, (lane / 2 + lane % 2 * lanes)...);
      shuffled[2 * i + 1] = __builtin_shufflevector(a, b, (half + lane / 2 + lane % 2 * lanes)...);
    }
#pragma GCC unroll 16
    for (int i = 0; i < lanes; ++i) rows[i] = shuffled[i];
  }
}

template <typename T>
[[gnu::always_inline]] inline void transpose(typename Simd<T>::Vector* rows) {
  transpose_lanes<T>(rows, std::make_integer_sequence<int, Simd<T>::lanes>());
}

}  // namespace slope::cpu::SLOPE_ISA
