// Float32 convolution by cuDNN's classic interface: NHWC images, KRSC filters, true float32, and
// for each pass the one algorithm that is deterministic whatever the shapes.
#include "backends/cuda/convolution.h"
#include "backends/cuda/gemm.h"
#include "core/error.h"

namespace slope::cuda {
namespace {

constexpr auto kForward = CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM;
constexpr auto kDataGradient = CUDNN_CONVOLUTION_BWD_DATA_ALGO_1;
constexpr auto kWeightGradient = CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1;

// A descriptor and its end.
template <typename T, cudnnStatus_t (*make)(T*), cudnnStatus_t (*destroy)(T)>
class Descriptor {
 public:
  explicit Descriptor(const char* op) { check(make(&value_), op); }
  ~Descriptor() { destroy(value_); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  T get() const { return value_; }

 private:
  T value_ = nullptr;
};
using TensorDescriptor =
    Descriptor<cudnnTensorDescriptor_t, cudnnCreateTensorDescriptor, cudnnDestroyTensorDescriptor>;
using FilterDescriptor =
    Descriptor<cudnnFilterDescriptor_t, cudnnCreateFilterDescriptor, cudnnDestroyFilterDescriptor>;
using ConvolutionDescriptor =
    Descriptor<cudnnConvolutionDescriptor_t, cudnnCreateConvolutionDescriptor,
               cudnnDestroyConvolutionDescriptor>;

int narrow(int64_t value) { return static_cast<int>(value); }

class ByCudnn final : public Prepared {
 public:
  ByCudnn(const Context& context, const char* op, Pass pass, const WindowSizes& z, bool biased)
      : context_(context), op_(op), pass_(pass), z_(z), biased_(biased) {}

  // Fills the descriptors; false when cuDNN has no such convolution.
  bool describe() {
    const cudnnStatus_t statuses[] = {
        cudnnSetTensor4dDescriptor(image_.get(), CUDNN_TENSOR_NHWC, CUDNN_DATA_FLOAT,
                                   narrow(z_.batch), narrow(z_.channels), narrow(z_.height),
                                   narrow(z_.width)),
        cudnnSetTensor4dDescriptor(result_.get(), CUDNN_TENSOR_NHWC, CUDNN_DATA_FLOAT,
                                   narrow(z_.batch), narrow(z_.filters), narrow(z_.result_height),
                                   narrow(z_.result_width)),
        cudnnSetFilter4dDescriptor(filter_.get(), CUDNN_DATA_FLOAT, CUDNN_TENSOR_NHWC,
                                   narrow(z_.filters), narrow(z_.channels / z_.groups),
                                   narrow(z_.window_height), narrow(z_.window_width)),
        cudnnSetConvolution2dDescriptor(
            convolution_.get(), narrow(z_.padding[0]), narrow(z_.padding[1]), narrow(z_.stride[0]),
            narrow(z_.stride[1]), narrow(z_.dilation[0]), narrow(z_.dilation[1]),
            CUDNN_CROSS_CORRELATION, CUDNN_DATA_FLOAT),
        cudnnSetConvolutionGroupCount(convolution_.get(), narrow(z_.groups)),
        cudnnSetConvolutionMathType(convolution_.get(), CUDNN_FMA_MATH)};
    for (const cudnnStatus_t status : statuses) {
      if (refused(status)) return false;
    }
    return !refused(workspace_status());
  }

  size_t scratch_bytes() const override { return workspace_; }

  void run(const Argument* args, void* scratch) override {
    const float one = 1, zero = 0;
    if (pass_ == Pass::forward) {
      if (biased_) {
        fill_rows(context_.launcher(op_), data<float>(args[2]), data<float>(args[3]),
                  z_.batch * z_.result_height * z_.result_width, z_.filters);
      }
      check(
          cudnnConvolutionForward(context_.cudnn(), &one, image_.get(), args[0].data, filter_.get(),
                                  args[1].data, convolution_.get(), kForward, scratch, workspace_,
                                  biased_ ? &one : &zero, result_.get(), args[3].data),
          op_);
    } else if (pass_ == Pass::data_gradient) {
      check(cudnnConvolutionBackwardData(context_.cudnn(), &one, filter_.get(), args[1].data,
                                         result_.get(), args[0].data, convolution_.get(),
                                         kDataGradient, scratch, workspace_, &zero, image_.get(),
                                         args[2].data),
            op_);
    } else {
      check(cudnnConvolutionBackwardFilter(context_.cudnn(), &one, image_.get(), args[0].data,
                                           result_.get(), args[1].data, convolution_.get(),
                                           kWeightGradient, scratch, workspace_, &zero,
                                           filter_.get(), args[2].data),
            op_);
    }
  }

 private:
  bool refused(cudnnStatus_t status) const {
    if (CUDNN_STATUS_CATEGORY(status) == CUDNN_STATUS_NOT_SUPPORTED ||
        CUDNN_STATUS_CATEGORY(status) == CUDNN_STATUS_BAD_PARAM) {
      return true;
    }
    check(status, op_);
    return false;
  }

  cudnnStatus_t workspace_status() {
    if (pass_ == Pass::forward) {
      return cudnnGetConvolutionForwardWorkspaceSize(context_.cudnn(), image_.get(), filter_.get(),
                                                     convolution_.get(), result_.get(), kForward,
                                                     &workspace_);
    }
    if (pass_ == Pass::data_gradient) {
      return cudnnGetConvolutionBackwardDataWorkspaceSize(context_.cudnn(), filter_.get(),
                                                          result_.get(), convolution_.get(),
                                                          image_.get(), kDataGradient, &workspace_);
    }
    return cudnnGetConvolutionBackwardFilterWorkspaceSize(
        context_.cudnn(), image_.get(), result_.get(), convolution_.get(), filter_.get(),
        kWeightGradient, &workspace_);
  }

  const Context& context_;
  const char* op_;
  Pass pass_;
  WindowSizes z_;
  bool biased_;
  TensorDescriptor image_{op_}, result_{op_};
  FilterDescriptor filter_{op_};
  ConvolutionDescriptor convolution_{op_};
  size_t workspace_ = 0;
};

}  // namespace

std::unique_ptr<Prepared> prepare_by_cudnn(const Context& context, const char* op, Pass pass,
                                           const WindowSizes& sizes, bool biased) {
  auto prepared = std::make_unique<ByCudnn>(context, op, pass, sizes, biased);
  if (!prepared->describe()) return nullptr;
  return prepared;
}

}  // namespace slope::cuda
