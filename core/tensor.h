// Tensor: a handle on values in device memory. It knows nothing of gradients.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <ostream>
#include <span>
#include <string>
#include <vector>

#include "core/backend.h"
#include "core/dtype.h"
#include "core/shape.h"

namespace slope {

class Storage;

// Copies of a handle share the same values and the same id; a view shares the values and has an id
// of its own. Ids are never used twice.
class Tensor {
 public:
  Tensor() = default;  // no tensor at all: defined() is false

  bool defined() const { return body_ != nullptr; }

  const Shape& shape() const { return body().shape; }
  const Strides& strides() const { return body().strides; }
  int rank() const { return shape().rank(); }
  // Length of an axis; negative axes count from the end.
  int64_t dim(int axis) const;
  // Number of values.
  int64_t size() const { return shape().size(); }
  Dtype dtype() const { return body().dtype; }
  Device device() const { return body().device; }
  uint64_t id() const { return body().id; }
  int64_t offset() const { return body().offset; }
  bool contiguous() const { return body().contiguous; }

  // Values by host type; T must match the dtype exactly. Waits for the device.
  template <typename T>
  std::vector<T> to_vector() const;
  // The only value of a one-element tensor, as double whatever the dtype. Waits for the device.
  double item() const;
  // All values in row-major order, as double.
  std::vector<double> values() const;

  Tensor reshape(const Shape& shape) const;  // one axis may be -1
  Tensor clone() const;                      // a contiguous copy with storage of its own
  Tensor to(Device device) const;            // itself when it is there already

  // How many copies of this handle there are, itself included: 1 means that nobody else can use it.
  long handles() const { return body_.use_count(); }

  // For kernels and recorders.
  bool has_data() const { return body().storage != nullptr; }
  void* data() const;  // first value, in device memory
  const std::shared_ptr<Storage>& storage() const { return body().storage; }
  // Same shape, dtype and id, but no values: what a tape keeps when it only needs to know the
  // shape.
  Tensor without_data() const;
  // The same values under a new id.
  Tensor alias() const { return Tensor(body()); }

  struct Body {
    Shape shape = {};
    Strides strides = {};
    int64_t offset = 0;
    Dtype dtype = Dtype::f32;
    bool contiguous = true;
    Device device = {};
    uint64_t id = 0;
    std::shared_ptr<Storage> storage = {};
  };
  explicit Tensor(Body body);

 private:
  const Body& body() const {
    if (!body_) throw_undefined();
    return *body_;
  }
  [[noreturn]] static void throw_undefined();
  std::shared_ptr<const Body> body_;
};

using Tensors = std::vector<Tensor>;

// "(32, 784) float32"
std::string describe(const Tensor& x);
// Shape, dtype and values, cut in the middle when there are many.
std::ostream& operator<<(std::ostream& out, const Tensor& x);

// Uninitialised values.
Tensor empty(const Shape& shape, Dtype dtype = Dtype::f32, Device device = default_device());
// From host values in row-major order; values.size() must be shape.size().
template <typename T>
Tensor from_host(std::span<const T> values, const Shape& shape, Device device = default_device());
template <typename T>
Tensor from_host(const std::vector<T>& values, const Shape& shape,
                 Device device = default_device()) {
  return from_host(std::span<const T>(values), shape, device);
}
// Host numbers as a tensor of any dtype: tensor({1, 2, 3}) is (3) float32.
Tensor tensor(std::initializer_list<double> values, Dtype dtype = Dtype::f32,
              Device device = default_device());
Tensor tensor(const std::vector<double>& values, const Shape& shape, Dtype dtype = Dtype::f32,
              Device device = default_device());
Tensor scalar(double value, Dtype dtype = Dtype::f32, Device device = default_device());

// Axis in 0..rank-1 from one that may be negative; `where` is the op's name for the message.
int normalized_axis(const char* where, int64_t axis, int rank);

}  // namespace slope
