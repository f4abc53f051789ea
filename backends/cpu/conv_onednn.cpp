// Convolution over oneDNN, float32 only.
//
// oneDNN gets NHWC images and its own layout of the weights. slope divides the batch into chunks
// that do not depend on the threads and runs one single-thread primitive per chunk: oneDNN's own
// division of a weight gradient changes the result with the number of threads.
#include "backends/cpu/conv_pass.h"

#ifndef SLOPE_WITH_ONEDNN

namespace slope::cpu {

bool onednn_pays(const ConvShape&, ConvPass) { return false; }

std::unique_ptr<Convolution<float>::Implementation> make_onednn_convolution(const ConvShape&,
                                                                            ConvPass) {
  return nullptr;
}

}  // namespace slope::cpu

#else

#include <omp.h>

#include <algorithm>
#include <initializer_list>
#include <memory>
#include <oneapi/dnnl/dnnl.hpp>
#include <utility>
#include <vector>

#include "backends/cpu/isa.h"
#include "backends/cpu/threads.h"
#include "core/error.h"

static_assert(DNNL_VERSION_MAJOR == 2,
              "conv_onednn.cpp is written for oneDNN 2; configure with -DSLOPE_ONEDNN=OFF");

namespace slope::cpu {
namespace {

using dnnl::memory;

constexpr auto kFloat = memory::data_type::f32;
constexpr auto kDirect = dnnl::algorithm::convolution_direct;

const dnnl::engine& engine() {
  static const dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  return cpu;
}

// Primitives made in this scope are for one thread.
class OneThread {
 public:
  OneThread() : before_(omp_get_max_threads()) { omp_set_num_threads(1); }
  ~OneThread() { omp_set_num_threads(before_); }

 private:
  int before_;
};

// x, y as oneDNN sees them: logical (N, C, H, W) in NHWC order.
memory::desc image_layout(int64_t images, int64_t height, int64_t width, int64_t channels) {
  return memory::desc({images, channels, height, width}, kFloat, memory::format_tag::nhwc);
}

// Weights (K, R, S, C / groups) as oneDNN sees them: logical ([G,] out, in, R, S), where `out` is
// K, or C if transposed.
memory::desc weights_layout(const ConvShape& s, bool transposed) {
  const memory::dim filters = s.group_filters(), channels = s.group_channels();
  const memory::dim tap = channels, line = tap * s.kernel_width, filter = line * s.kernel_height;
  memory::dims sizes = {filters, channels, s.kernel_height, s.kernel_width},
               strides = {filter, 1, line, tap};
  if (transposed) {
    std::swap(sizes[0], sizes[1]);
    std::swap(strides[0], strides[1]);
  }
  if (s.groups > 1) {
    sizes.insert(sizes.begin(), s.groups);
    strides.insert(strides.begin(), filters * filter);
  }
  return memory::desc(sizes, kFloat, strides);
}

// The layout that a primitive is to use: the one `chosen` by an earlier primitive for the same
// weights, else whatever is best for it.
memory::desc layout_for(const memory::desc& weights, const memory::desc& chosen) {
  return chosen.is_zero() ? memory::desc(weights.dims(), kFloat, memory::format_tag::any) : chosen;
}

// What one thread needs to run a primitive on one chunk: memory objects without memory, bound to
// addresses per run.
class Runner {
 public:
  Runner(const dnnl::primitive& primitive, std::vector<std::pair<int, memory::desc>> arguments)
      : primitive_(primitive), stream_(engine()) {
    for (const auto& [index, layout] : arguments) {
      memories_.emplace_back(layout, engine(), static_cast<void*>(nullptr));
      arguments_.push_back({index, memories_.back().get()});
    }
  }

  // addresses: in the order of the arguments.
  void run(std::initializer_list<const void*> addresses) {
    size_t i = 0;
    for (const void* address : addresses)
      memories_[i++].set_data_handle(const_cast<void*>(address));
    const dnnl_status_t status = dnnl_primitive_execute(
        primitive_.get(), stream_.get(), static_cast<int>(arguments_.size()), arguments_.data());
    if (status != dnnl_success) {
      throw InternalError(concat("conv2d: oneDNN could not run a convolution: status ",
                                 static_cast<int>(status), ". Set SLOPE_CONV=own to do without."));
    }
  }

 private:
  dnnl::primitive primitive_;
  dnnl::stream stream_;
  std::vector<memory> memories_;
  std::vector<dnnl_exec_arg_t> arguments_;
};

// Brings the caller's weights into oneDNN's layout, or back.
class WeightsReorder {
 public:
  WeightsReorder() = default;
  WeightsReorder(const memory::desc& from, const memory::desc& to)
      : runner_(std::make_unique<Runner>(
            dnnl::reorder(dnnl::reorder::primitive_desc(engine(), from, engine(), to)),
            std::vector<std::pair<int, memory::desc>>{{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}})) {}
  void run(const float* from, float* to) { runner_->run({from, to}); }

 private:
  std::unique_ptr<Runner> runner_;
};

dnnl::primitive_attr scratchpad_from_user() {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attributes;
}

// Stride, dilation (oneDNN counts the gaps) and padding.
struct Window {
  memory::dims stride, dilation, padding;
  explicit Window(const ConvShape& s)
      : stride{s.stride_height, s.stride_width},
        dilation{s.dilation_height - 1, s.dilation_width - 1},
        padding{s.padding_height, s.padding_width} {}
};

dnnl::convolution_forward::primitive_desc describe_forward(const Window& w,
                                                           const memory::desc& source,
                                                           const memory::desc& weights,
                                                           const memory::desc& bias,
                                                           const memory::desc& result) {
  return {{dnnl::prop_kind::forward_training, kDirect, source, weights, bias, result, w.stride,
           w.dilation, w.padding, w.padding},
          scratchpad_from_user(),
          engine()};
}

// The forward pass that a gradient belongs to; oneDNN asks for it.
dnnl::convolution_forward::primitive_desc forward_hint(const ConvShape& s, const memory::desc& x,
                                                       const memory::desc& y) {
  return describe_forward(Window(s), x, layout_for(weights_layout(s, false), {}), {}, y);
}

double direct_nanoseconds(const ConvShape& s) {
  return nanoseconds_for_multiply_adds(
      static_cast<double>(s.batch * s.output_height() * s.output_width()) *
      static_cast<double>(s.filters * s.group_channels() * s.kernel_height * s.kernel_width));
}

// ---- forward and data gradient -----------------------------------------------------------------

class OneDnnConvolution : public Convolution<float>::Implementation {
 public:
  OneDnnConvolution(const ConvShape& shape, ConvPass pass)
      : shape_(shape),
        forward_(pass == ConvPass::forward),
        flipped_(!forward_ && can_flip(shape)),
        chunks_(shape.batch, kChunks) {
    slots_ = static_cast<int>(std::min<int64_t>(thread_slots(), chunks_.count));
    make_runners();
    const memory::desc given = weights_layout(shape_, flipped_);
    reorder_ = WeightsReorder(given, weights_description_);
    copy_bytes_ = round_up(weights_description_.get_size(), 64);
    weights_ = AlignedMemory(KeptWeights::kCopies * copy_bytes_);
    if (flipped_) flipped_weights_ = AlignedMemory(given.get_size());
    zeros_ = AlignedMemory(static_cast<size_t>(shape_.filters) * sizeof(float));
    std::fill_n(zeros_.as<float>(), shape_.filters, 0.0f);
    nanoseconds_ = direct_nanoseconds(shape);
  }

  ConvRoute route() const override { return ConvRoute::onednn; }
  size_t scratch_bytes() const override { return slots_ * scratchpad_bytes_; }

  void run(const float* source, const float* weights, const float* bias, float* result,
           void* scratch, WeightVersion version) override {
    const KeptWeights::Place kept = kept_.find(version);
    float* reordered = reinterpret_cast<float*>(weights_.as<char>() + kept.copy * copy_bytes_);
    if (!kept.current) reorder_.run(flipped_ ? flip(weights) : weights, reordered);
    const int64_t x_image = shape_.height * shape_.width * shape_.channels;
    const int64_t y_image = shape_.output_height() * shape_.output_width() * shape_.filters;
    const int64_t source_image = forward_ ? x_image : y_image,
                  result_image = forward_ ? y_image : x_image;
    const float* added = bias ? bias : zeros_.as<float>();
    parallel_for(
        chunks_.count, nanoseconds_,
        [&](int64_t chunk, int slot) {
          Runner& runner = runners_[chunks_.images(chunk) == chunks_.size ? 0 : 1][slot];
          const int64_t first = chunks_.begin(chunk);
          const void* from = source + first * source_image;
          const void* to = result + first * result_image;
          const void* scratchpad = static_cast<char*>(scratch) + slot * scratchpad_bytes_;
          if (forward_) {
            runner.run({from, reordered, to, scratchpad, added});
          } else {
            runner.run({from, reordered, to, scratchpad});
          }
        },
        slots_);
  }

 private:
  // As many chunks as cores that may share the work; a chunk's primitive costs about 2 us to start.
  static constexpr int64_t kChunks = 16;

  // With stride 1 the data gradient is the forward convolution of g with the weights turned by half
  // a turn. On AVX-512 oneDNN's forward kernel is the faster of the two.
  static bool can_flip(const ConvShape& s) {
    return isa() == Isa::avx512 && s.stride_height == 1 && s.stride_width == 1 &&
           s.padding_height <= s.dilation_height * (s.kernel_height - 1) &&
           s.padding_width <= s.dilation_width * (s.kernel_width - 1);
  }

  void make_runners() {
    const OneThread scope;
    runners_.resize(2);
    add_runners(chunks_.size, runners_[0]);
    const int64_t rest = chunks_.images(chunks_.count - 1);
    if (rest != chunks_.size) add_runners(rest, runners_[1]);
  }

  void add_runners(int64_t images, std::vector<Runner>& runners) {
    const ConvShape& s = shape_;
    const memory::desc x = image_layout(images, s.height, s.width, s.channels);
    const memory::desc y = image_layout(images, s.output_height(), s.output_width(), s.filters);
    const memory::desc& source = forward_ ? x : y;
    const memory::desc& result = forward_ ? y : x;
    const memory::desc bias =
        forward_ ? memory::desc({s.filters}, kFloat, memory::format_tag::x) : memory::desc();
    const memory::desc weights = layout_for(weights_layout(s, flipped_), weights_description_);
    Window window(s);
    dnnl::primitive primitive;
    memory::desc scratchpad;
    if (forward_ || flipped_) {
      if (flipped_) {
        for (int axis = 0; axis < 2; ++axis) {
          const int64_t kernel = axis == 0 ? s.kernel_height : s.kernel_width;
          window.padding[axis] = (window.dilation[axis] + 1) * (kernel - 1) - window.padding[axis];
        }
      }
      const auto description = describe_forward(window, source, weights, bias, result);
      primitive = dnnl::convolution_forward(description);
      weights_description_ = description.weights_desc();
      scratchpad = description.scratchpad_desc();
    } else {
      const dnnl::convolution_backward_data::primitive_desc description(
          {kDirect, x, weights, y, window.stride, window.dilation, window.padding, window.padding},
          scratchpad_from_user(), engine(), forward_hint(s, x, y));
      primitive = dnnl::convolution_backward_data(description);
      weights_description_ = description.weights_desc();
      scratchpad = description.scratchpad_desc();
    }
    const bool as_forward = forward_ || flipped_;
    std::vector<std::pair<int, memory::desc>> arguments = {
        {as_forward ? DNNL_ARG_SRC : DNNL_ARG_DIFF_DST, source},
        {DNNL_ARG_WEIGHTS, weights_description_},
        {as_forward ? DNNL_ARG_DST : DNNL_ARG_DIFF_SRC, result},
        {DNNL_ARG_SCRATCHPAD, scratchpad}};
    if (forward_) arguments.push_back({DNNL_ARG_BIAS, bias});
    scratchpad_bytes_ = std::max(scratchpad_bytes_, round_up(scratchpad.get_size(), 64));
    for (int slot = 0; slot < slots_; ++slot) runners.emplace_back(primitive, arguments);
  }

  // (K, R, S, C) with r and s counted from the other end.
  const float* flip(const float* weights) {
    const int64_t taps = shape_.kernel_height * shape_.kernel_width,
                  channels = shape_.group_channels();
    float* to = flipped_weights_.as<float>();
    for (int64_t k = 0; k < shape_.filters; ++k, weights += taps * channels) {
      for (int64_t tap = taps - 1; tap >= 0; --tap, to += channels) {
        std::copy(weights + tap * channels, weights + (tap + 1) * channels, to);
      }
    }
    return flipped_weights_.as<float>();
  }

  const ConvShape shape_;
  const bool forward_, flipped_;
  const BatchChunks chunks_;
  int slots_ = 1;
  std::vector<std::vector<Runner>> runners_;  // [whole chunk, last chunk][slot]
  memory::desc weights_description_;
  WeightsReorder reorder_;
  size_t scratchpad_bytes_ = 0, copy_bytes_ = 0;
  double nanoseconds_ = 0;
  AlignedMemory weights_, flipped_weights_, zeros_;
  KeptWeights kept_;
};

// ---- weight gradient ---------------------------------------------------------------------------

class OneDnnWeightGradient : public Convolution<float>::Implementation {
 public:
  explicit OneDnnWeightGradient(const ConvShape& shape)
      : shape_(shape), chunks_(shape.batch, kWeightGradientChunks) {
    slots_ = static_cast<int>(std::min<int64_t>(thread_slots(), chunks_.count));
    make_runners();
    reorder_ = WeightsReorder(weights_description_, weights_layout(shape_, false));
    partial_bytes_ = round_up(weights_description_.get_size(), 64);
    nanoseconds_ = direct_nanoseconds(shape);
  }

  ConvRoute route() const override { return ConvRoute::onednn; }
  size_t scratch_bytes() const override {
    return chunks_.count * partial_bytes_ + slots_ * scratchpad_bytes_;
  }

  void run(const float* x, const float* g, const float*, float* dw, void* scratch,
           WeightVersion) override {
    const int64_t x_image = shape_.height * shape_.width * shape_.channels;
    const int64_t y_image = shape_.output_height() * shape_.output_width() * shape_.filters;
    char* partials = static_cast<char*>(scratch);
    char* scratchpads = partials + chunks_.count * partial_bytes_;
    parallel_for(
        chunks_.count, nanoseconds_,
        [&](int64_t chunk, int slot) {
          Runner& runner = runners_[chunks_.images(chunk) == chunks_.size ? 0 : 1][slot];
          const int64_t first = chunks_.begin(chunk);
          runner.run({x + first * x_image, g + first * y_image, partials + chunk * partial_bytes_,
                      scratchpads + slot * scratchpad_bytes_});
        },
        slots_);
    add_up(partials);
    reorder_.run(reinterpret_cast<const float*>(partials), dw);
  }

 private:
  void make_runners() {
    const OneThread scope;
    runners_.resize(2);
    add_runners(chunks_.size, runners_[0]);
    const int64_t rest = chunks_.images(chunks_.count - 1);
    if (rest != chunks_.size) add_runners(rest, runners_[1]);
  }

  void add_runners(int64_t images, std::vector<Runner>& runners) {
    const ConvShape& s = shape_;
    const memory::desc x = image_layout(images, s.height, s.width, s.channels);
    const memory::desc y = image_layout(images, s.output_height(), s.output_width(), s.filters);
    const Window window(s);
    // All chunks' partial sums lie alike.
    const memory::desc weights = layout_for(weights_layout(s, false), weights_description_);
    const dnnl::convolution_backward_weights::primitive_desc description(
        {kDirect, x, weights, y, window.stride, window.dilation, window.padding, window.padding},
        scratchpad_from_user(), engine(), forward_hint(s, x, y));
    const memory::desc scratchpad = description.scratchpad_desc();
    weights_description_ = description.diff_weights_desc();
    scratchpad_bytes_ = std::max(scratchpad_bytes_, round_up(scratchpad.get_size(), 64));
    const dnnl::convolution_backward_weights primitive(description);
    const std::vector<std::pair<int, memory::desc>> arguments = {
        {DNNL_ARG_SRC, x},
        {DNNL_ARG_DIFF_DST, y},
        {DNNL_ARG_DIFF_WEIGHTS, weights_description_},
        {DNNL_ARG_SCRATCHPAD, scratchpad}};
    for (int slot = 0; slot < slots_; ++slot) runners.emplace_back(primitive, arguments);
  }

  // Chunk 0 += chunk 1, then chunk 2, ...
  void add_up(char* partials) const {
    constexpr int64_t piece = 4096;
    const int64_t values = static_cast<int64_t>(weights_description_.get_size() / sizeof(float));
    const double bytes = static_cast<double>(chunks_.count) * static_cast<double>(partial_bytes_);
    parallel_for((values + piece - 1) / piece, nanoseconds_for_bytes(bytes), [&](int64_t task) {
      float* __restrict total = reinterpret_cast<float*>(partials) + task * piece;
      const int64_t count = std::min(piece, values - task * piece);
      for (int64_t chunk = 1; chunk < chunks_.count; ++chunk) {
        const float* part =
            reinterpret_cast<const float*>(partials + chunk * partial_bytes_) + task * piece;
        for (int64_t i = 0; i < count; ++i) total[i] += part[i];
      }
    });
  }

  const ConvShape shape_;
  const BatchChunks chunks_;
  int slots_ = 1;
  std::vector<std::vector<Runner>> runners_;  // [whole chunk, last chunk][slot]
  memory::desc weights_description_;
  WeightsReorder reorder_;
  size_t scratchpad_bytes_ = 0, partial_bytes_ = 0;
  double nanoseconds_ = 0;
};

}  // namespace

bool onednn_pays(const ConvShape& s, ConvPass pass) {
  if (isa() == Isa::generic) return false;
  // Measured with bench/conv_bench. Few channels: its gradients leave most of a vector empty.
  if (s.groups == 1 && pass == ConvPass::data_gradient && s.channels < 8) return false;
  if (s.groups == 1 && pass == ConvPass::weight_gradient && s.channels == 1) return false;
  // Small images: starting its primitives costs more than the work.
  const int64_t multiply_adds_per_image = s.output_height() * s.output_width() * s.filters *
                                          s.group_channels() * s.kernel_height * s.kernel_width;
  return multiply_adds_per_image >= (pass == ConvPass::weight_gradient ? 8000 : 16000);
}

std::unique_ptr<Convolution<float>::Implementation> make_onednn_convolution(const ConvShape& shape,
                                                                            ConvPass pass) {
  const bool empty = shape.batch == 0 || shape.channels == 0 || shape.filters == 0 ||
                     shape.output_height() <= 0 || shape.output_width() <= 0;
  if (empty) return nullptr;
  try {
    if (pass == ConvPass::weight_gradient) return std::make_unique<OneDnnWeightGradient>(shape);
    return std::make_unique<OneDnnConvolution>(shape, pass);
  } catch (const dnnl::error&) {
    return nullptr;  // no kernel for this shape
  }
}

}  // namespace slope::cpu
#endif
