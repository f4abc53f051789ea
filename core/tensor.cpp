#include "core/tensor.h"

#include <atomic>
#include <iomanip>

#include "core/dispatch.h"
#include "core/ops.h"
#include "core/storage.h"

namespace slope {
namespace {

std::atomic<uint64_t> next_tensor_id{1};

bool is_contiguous(const Shape& shape, const Strides& strides) {
  int64_t expected = 1;
  for (int i = shape.rank() - 1; i >= 0; --i) {
    if (shape[i] == 0) return true;
    if (shape[i] != 1 && strides[i] != expected) return false;
    expected *= shape[i];
  }
  return true;
}

// Row-major bytes of x on the host.
void read_back(const Tensor& x, void* host, const char* what) {
  for (Recorder* r : recorders()) r->host_read(what);
  if (x.size() == 0) return;
  const MuteTapes quiet;
  const Tensor flat = contiguous(x);
  x.device()->copy_out(host, flat.data(), static_cast<size_t>(x.size()) * size_of(x.dtype()));
}

}  // namespace

Tensor::Tensor(Body body) {
  body.id = next_tensor_id++;
  body.contiguous = is_contiguous(body.shape, body.strides);
  body_ = std::make_shared<const Body>(std::move(body));
}

void Tensor::throw_undefined() {
  throw ValueError(
      "tensor: this Tensor is empty (default-constructed); it has no shape and no values.");
}

int64_t Tensor::dim(int axis) const { return shape()[normalized_axis("dim", axis, rank())]; }

void* Tensor::data() const {
  SLOPE_ASSERT(has_data());
  return static_cast<char*>(storage()->data()) + offset() * static_cast<int64_t>(size_of(dtype()));
}

Tensor Tensor::without_data() const {
  Body copy = body();
  copy.storage = nullptr;
  Tensor result;
  result.body_ = std::make_shared<const Body>(std::move(copy));  // keeps the id
  return result;
}

template <typename T>
std::vector<T> Tensor::to_vector() const {
  if (dtype() != dtype_of<T>()) {
    throw DtypeError(concat("to_vector: the tensor is ", name(dtype()), ", asked for ",
                            name(dtype_of<T>()), "."));
  }
  std::vector<T> host(static_cast<size_t>(size()));
  read_back(*this, host.data(), "to_vector()");
  return host;
}
template std::vector<float> Tensor::to_vector() const;
template std::vector<double> Tensor::to_vector() const;
template std::vector<int32_t> Tensor::to_vector() const;

std::vector<double> Tensor::values() const {
  return dispatch_any(dtype(), [&]<typename T>() {
    const std::vector<T> host = to_vector<T>();
    return std::vector<double>(host.begin(), host.end());
  });
}

double Tensor::item() const {
  if (size() != 1) {
    throw ShapeError(concat("item: ", describe(*this), " has ", size(),
                            " values, not 1. Take mean(x), or x.values()."));
  }
  return dispatch_any(dtype(), [&]<typename T>() {
    T value;
    read_back(*this, &value, "item()");
    return static_cast<double>(value);
  });
}

Tensor Tensor::reshape(const Shape& shape) const { return slope::reshape(*this, shape); }
Tensor Tensor::clone() const { return slope::copy(*this); }

Tensor Tensor::to(Device target) const {
  if (target == device()) return *this;
  return dispatch_any(dtype(),
                      [&]<typename T>() { return from_host(to_vector<T>(), shape(), target); });
}

Tensor empty(const Shape& shape, Dtype dtype, Device device) {
  for (int64_t n : shape) {
    if (n < 0) throw ShapeError(concat("empty: negative length in shape ", shape, "."));
  }
  Tensor::Body body{
      .shape = shape, .strides = contiguous_strides(shape), .dtype = dtype, .device = device};
  body.storage =
      std::make_shared<Storage>(device, static_cast<size_t>(shape.size()) * size_of(dtype));
  return Tensor(std::move(body));
}

template <typename T>
Tensor from_host(std::span<const T> values, const Shape& shape, Device device) {
  if (static_cast<int64_t>(values.size()) != shape.size()) {
    throw ShapeError(concat("from_host: shape ", shape, " has ", shape.size(), " values, got ",
                            values.size(), "."));
  }
  const PoolScope outside_of_any_plan(
      nullptr);  // a plan overwrites its own pool, and this is written only once
  Tensor result = empty(shape, dtype_of<T>(), device);
  if (!values.empty()) device->copy_in(result.data(), values.data(), values.size_bytes());
  for (Recorder* r : recorders()) r->constant(result);
  return result;
}
template Tensor from_host(std::span<const float>, const Shape&, Device);
template Tensor from_host(std::span<const double>, const Shape&, Device);
template Tensor from_host(std::span<const int32_t>, const Shape&, Device);

Tensor tensor(const std::vector<double>& values, const Shape& shape, Dtype dtype, Device device) {
  return dispatch_any(dtype, [&]<typename T>() {
    return from_host(std::vector<T>(values.begin(), values.end()), shape, device);
  });
}

Tensor tensor(std::initializer_list<double> values, Dtype dtype, Device device) {
  return tensor(std::vector<double>(values), {static_cast<int64_t>(values.size())}, dtype, device);
}

Tensor scalar(double value, Dtype dtype, Device device) {
  return tensor(std::vector<double>{value}, {}, dtype, device);
}

std::string describe(const Tensor& x) {
  return x.defined() ? concat(x.shape(), ' ', name(x.dtype())) : "nothing";
}

std::ostream& operator<<(std::ostream& out, const Tensor& x) {
  out << describe(x);
  if (!x.defined()) return out;
  const std::vector<double> v = x.values();
  const size_t shown = v.size() <= 12 ? v.size() : 6;
  out << " [" << std::setprecision(6);
  for (size_t i = 0; i < shown; ++i) out << (i ? ", " : "") << v[i];
  if (shown < v.size()) {
    out << ", ...";
    for (size_t i = v.size() - 3; i < v.size(); ++i) out << ", " << v[i];
  }
  return out << ']';
}

int normalized_axis(const char* where, int64_t axis, int rank) {
  if (axis < -rank || axis >= rank) {
    throw ShapeError(concat(where, ": axis ", axis, " is outside of a tensor with ", rank,
                            " axes (", -rank, " to ", rank - 1, ")."));
  }
  return static_cast<int>(axis < 0 ? axis + rank : axis);
}

}  // namespace slope
