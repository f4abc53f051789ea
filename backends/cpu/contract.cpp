// Matrix products of the cpu backend, over gemm.h.
#include "core/ops/contract.h"

#include <cstddef>
#include <vector>

#include "backends/cpu/cpu.h"
#include "backends/cpu/gemm.h"

namespace slope::cpu {
namespace {

// Where the matrices of one run of products begin, in values.
struct Start {
  int64_t a = 0, b = 0, c = 0;
};

// A matmul as few calls of gemm(): the innermost leading axes that a, b and c step through evenly
// become its batch, or, where b is one matrix for all, more rows of a. The axes outside of them are
// a list of starting points.
struct Products {
  GemmShape shape;
  std::vector<Start> starts;
};

Products products_of(const MatmulSizes& z, const MatmulOptions& options) {
  Products p;
  p.shape = {.m = z.m,
             .n = z.n,
             .k = z.k,
             .transpose_a = options.transpose_a,
             .transpose_b = options.transpose_b};
  p.shape.stride_c = z.m * z.n;
  int64_t count = 1;
  int axis = z.batch.rank() - 1;
  for (; axis >= 0; --axis) {
    const int64_t length = z.batch[axis];
    if (length == 1) continue;
    if (count == 1) {
      p.shape.stride_a = z.a_strides[axis];
      p.shape.stride_b = z.b_strides[axis];
    } else if (z.a_strides[axis] != p.shape.stride_a * count ||
               z.b_strides[axis] != p.shape.stride_b * count) {
      break;
    }
    count *= length;
  }
  const int64_t outer = count == 0 ? 0 : z.batch.size() / count;
  for (int64_t i = 0; i < outer; ++i) {
    Start start{.c = i * count * z.m * z.n};
    int64_t rest = i;
    for (int j = axis; j >= 0; --j) {
      start.a += rest % z.batch[j] * z.a_strides[j];
      start.b += rest % z.batch[j] * z.b_strides[j];
      rest /= z.batch[j];
    }
    p.starts.push_back(start);
  }
  if (p.shape.stride_b == 0 && p.shape.stride_a == z.m * z.k && !options.transpose_a) {
    p.shape.m *= count;
  } else {
    p.shape.batch = count;
  }
  return p;
}

// B packed, kept while it stays the same: the weights of an ODE's field are used 20 to 200 times
// between two updates, and packing them anew costs 5 to 15 % of a product with 128 rows and most of
// one with a single row.
template <typename T>
class PackedMatrix {
 public:
  // Null on the first sight of a matrix: many are seen only once, as activations are. On the second
  // it is packed; that is the one time when a product allocates memory.
  const void* get(const GemmShape& shape, const Argument& b) {
    if (!b.storage) return nullptr;
    const Key key{b.data, b.storage->id(), b.storage->version()};
    if (key != key_) {
      key_ = key;
      packed_ = false;
      return nullptr;
    }
    if (!packed_) {
      memory_.resize((packed_b_bytes<T>(shape) + sizeof(CacheLine) - 1) / sizeof(CacheLine));
      pack_b<T>(shape, data<T>(b), memory_.data());
      packed_ = true;
    }
    return memory_.data();
  }

 private:
  struct Key {
    const void* data = nullptr;
    uint64_t storage = 0, version = 0;
    bool operator==(const Key&) const = default;
  };
  struct alignas(64) CacheLine {
    std::byte bytes[64];
  };
  Key key_;
  bool packed_ = false;
  std::vector<CacheLine> memory_;
};

// One product with one matrix B.
template <typename T>
class PreparedProduct final : public Prepared {
 public:
  // arguments: a, b, [bias or null,] c
  PreparedProduct(const GemmShape& shape, bool takes_bias)
      : shape_(shape), takes_bias_(takes_bias) {}

  void run(const Argument* args, void*) override {
    const T* a = data<T>(args[0]);
    const T* bias = takes_bias_ ? data<T>(args[2]) : nullptr;
    T* c = data<T>(args[takes_bias_ ? 3 : 2]);
    if (const void* packed = packed_.get(shape_, args[1])) {
      gemm_packed<T>(shape_, a, packed, bias, c);
    } else {
      gemm<T>(shape_, a, data<T>(args[1]), bias, c);
    }
  }

 private:
  GemmShape shape_;
  bool takes_bias_;
  PackedMatrix<T> packed_;
};

std::unique_ptr<Prepared> prepare_product(Dtype dtype, const GemmShape& shape, bool takes_bias) {
  return dispatch_float(dtype, [&]<typename T>() -> std::unique_ptr<Prepared> {
    return std::make_unique<PreparedProduct<T>>(shape, takes_bias);
  });
}

std::unique_ptr<Prepared> prepare_matmul(const Call& call) {
  const auto& options = call.as<MatmulOptions>();
  const Products p =
      products_of(matmul_sizes(call.in(0).shape(), call.in(1).shape(), options), options);
  if (p.starts.size() == 1 && p.shape.batch == 1)
    return prepare_product(call.in(0).dtype(), p.shape, false);
  return dispatch_float(call.in(0).dtype(), [&]<typename T>() {
    return prepared([=](const Argument* args, void*) {
      for (const Start& start : p.starts) {
        gemm<T>(p.shape, data<T>(args[0]) + start.a, data<T>(args[1]) + start.b, nullptr,
                data<T>(args[2]) + start.c);
      }
    });
  });
}

// x: (rows, in), w: (out, in), b: (out) or null -> y: (rows, out)
std::unique_ptr<Prepared> prepare_linear(const Call& call) {
  const Shape& w = call.in(1).shape();
  const Shape leading(
      std::span(call.in(0).shape().begin(), static_cast<size_t>(call.in(0).rank() - 1)));
  const GemmShape shape{.m = leading.size(), .n = w[0], .k = w[1], .transpose_b = true};
  return prepare_product(call.in(0).dtype(), shape, true);
}

}  // namespace

void add_contract(KernelTable& table) {
  table["matmul"] = prepare_matmul;
  table["linear"] = prepare_linear;
}

}  // namespace slope::cpu
