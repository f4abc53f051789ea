// Matrix product C = A B of the cpu backend, for float and double.
//
// The value of an element of C is fixed by its row of A and its column of B alone. K is cut into
// blocks of kGemmDepth; inside a block the products are added one after the other, each by one
// fused multiply-add (generic: a product and a sum) that starts from zero; the block sums are added
// in order, to the bias or the old C if there is one. So the bits of a row depend neither on the
// number of threads, nor on how many other rows there are (batch size), nor on its position, nor on
// whether B was packed before; and avx2 and avx512 agree with each other.
#pragma once

#include <cstddef>
#include <cstdint>

namespace slope::cpu {

inline constexpr int64_t kGemmDepth = 256;

// A: (m, k) or, if transpose_a, stored as (k, m). B: (k, n) or, if transpose_b, stored as (n, k).
// C: (m, n). Row major. ld* is the distance between stored rows in elements; 0 means tight. Any
// size may be 0.
struct GemmShape {
  int64_t m = 0, n = 0, k = 0;
  bool transpose_a = false, transpose_b = false;
  bool accumulate = false;  // C += A B instead of C = A B; then there is no bias
  int64_t lda = 0, ldb = 0, ldc = 0;
  int64_t batch = 1;  // this many products
  int64_t stride_a = 0, stride_b = 0,
          stride_c = 0;  // elements from one to the next; 0 in A or B: the same for all
};

// C = A B + bias. bias: (n), added to every row, or null. C must not overlap A, B or bias.
// Allocates nothing; a thread uses up to 170 KiB of its stack.
template <typename T>
void gemm(const GemmShape& shape, const T* a, const T* b, const T* bias, T* c);

// The same on the calling thread only, for callers that have divided the work already.
template <typename T>
void gemm_serial(const GemmShape& shape, const T* a, const T* b, const T* bias, T* c);

// Packing B once pays when it is used many times, as the weights of an ODE's field are. The bits
// are those of gemm(). The layout belongs to this process's instruction set; the memory must be
// 64-byte aligned. One B only: stride_b is 0.
template <typename T>
size_t packed_b_bytes(const GemmShape& shape);
template <typename T>
void pack_b(const GemmShape& shape, const T* b, void* packed);
template <typename T>
void gemm_packed(const GemmShape& shape, const T* a, const void* packed, const T* bias, T* c);
template <typename T>
void gemm_packed_serial(const GemmShape& shape, const T* a, const void* packed, const T* bias,
                        T* c);

}  // namespace slope::cpu
