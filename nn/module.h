// Module: named parameters, buffers and children, so that a model can be printed, saved, loaded and
// trained by name.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "core/random.h"
#include "core/tensor.h"

namespace slope::nn {

// One forward pass: what a layer needs to know about it, and what it leaves behind. A forward pass
// never writes buffers: it leaves updates here, and the trainer applies them in order (nn/train.h).
struct Pass {
  bool training = false;
  // Random keys for dropout, int32 (4) each, taken in order: made outside, so that a plan can be
  // fed new ones.
  Tensors keys = {};
  size_t keys_used = 0;

  struct Update {
    Tensor buffer;  // to be overwritten with value
    Tensor value;
  };
  std::vector<Update> updates = {};
  // BatchNorm leaves in `updates` what its running statistics become: by default they move towards
  // those of the batch. True: those of the batch themselves (StatisticsStep).
  bool batch_statistics = false;
  // () each: what is to be kept small beside the loss, in its weight already. Training adds them to
  // the loss before it takes the gradient.
  Tensors penalties = {};

  // The next of `keys`. ValueError when there are not enough.
  Tensor next_key();
};

// A parameter or buffer by its dotted path.
struct NamedTensor {
  std::string name;
  Tensor tensor;
};

class Module {
 public:
  virtual ~Module() = default;
  Module() = default;
  Module(const Module&) = delete;  // children are registered by address
  Module& operator=(const Module&) = delete;

  // What it is, for printing and messages: "Conv2d 3->64, 3x3".
  virtual std::string describe() const = 0;

  // In forward order; within a layer weight before bias. Names are dotted paths
  // ("stem.conv1.weight").
  std::vector<NamedTensor> named_parameters() const;
  std::vector<NamedTensor> named_buffers() const;
  Tensors parameters() const;
  Tensors buffers() const;
  int64_t parameter_count() const;
  // The number of random keys that one training pass takes (dropout layers).
  int64_t key_count() const;

  const std::vector<std::pair<std::string, Module*>>& children() const { return children_; }
  // A tree with shapes and counts.
  std::string summary() const;

  // Runs f; an Error that passes through gets the line "in PATH (what it is)". Layers wrap their
  // forward in it.
  template <typename F>
  auto traced(F&& f) const {
    try {
      return f();
    } catch (Error& error) {
      error.add_context(path_.empty() ? describe() : path_ + " (" + describe() + ")");
      throw;
    }
  }

 protected:
  // Registers a tensor under a name of this module and returns it. Storage gets the dotted path as
  // its label, for messages of plans and tapes.
  Tensor add_parameter(const std::string& name, const Tensor& initial);
  Tensor add_buffer(const std::string& name, const Tensor& initial);
  // Registers a member; order is forward order.
  void add_child(const std::string& name, Module& child);
  virtual int64_t own_key_count() const { return 0; }

 private:
  void visit(const std::string& prefix,
             const std::function<void(const std::string&, const Module&)>& f) const;
  void set_path(const std::string& path);

  std::string path_;
  std::vector<NamedTensor> parameters_, buffers_;
  std::vector<std::pair<std::string, Module*>> children_;
};

// x -> y with everything of the pass: what Sequential holds and models are made of.
class Layer : public Module {
 public:
  virtual Tensor forward(const Tensor& x, Pass& pass) const = 0;
  // Outside of training.
  Tensor operator()(const Tensor& x) const {
    Pass pass;
    return forward(x, pass);
  }
};

}  // namespace slope::nn
