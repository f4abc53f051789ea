#include "nn/module.h"

#include <iomanip>

#include "core/storage.h"

namespace slope::nn {

Tensor Pass::next_key() {
  if (keys_used == keys.size()) {
    throw ValueError(concat("forward: a training pass needs more random keys than the ",
                            keys.size(),
                            " it was given. Give model.key_count() of them in Pass::keys."));
  }
  return keys[keys_used++];
}

Tensor Module::add_parameter(const std::string& name, const Tensor& initial) {
  initial.storage()->set_label(name);
  parameters_.push_back({name, initial});
  return initial;
}

Tensor Module::add_buffer(const std::string& name, const Tensor& initial) {
  initial.storage()->set_label(name);
  buffers_.push_back({name, initial});
  return initial;
}

void Module::add_child(const std::string& name, Module& child) {
  children_.emplace_back(name, &child);
  child.set_path(path_.empty() ? name : path_ + "." + name);
}

void Module::set_path(const std::string& path) {
  path_ = path;
  for (const auto* list : {&parameters_, &buffers_}) {
    for (const NamedTensor& t : *list) t.tensor.storage()->set_label(path + "." + t.name);
  }
  for (const auto& [name, child] : children_) child->set_path(path + "." + name);
}

void Module::visit(const std::string& prefix,
                   const std::function<void(const std::string&, const Module&)>& f) const {
  f(prefix, *this);
  for (const auto& [name, child] : children_) child->visit(prefix + name + ".", f);
}

std::vector<NamedTensor> Module::named_parameters() const {
  std::vector<NamedTensor> all;
  visit("", [&](const std::string& prefix, const Module& m) {
    for (const NamedTensor& t : m.parameters_) all.push_back({prefix + t.name, t.tensor});
  });
  return all;
}

std::vector<NamedTensor> Module::named_buffers() const {
  std::vector<NamedTensor> all;
  visit("", [&](const std::string& prefix, const Module& m) {
    for (const NamedTensor& t : m.buffers_) all.push_back({prefix + t.name, t.tensor});
  });
  return all;
}

Tensors Module::parameters() const {
  Tensors all;
  for (const NamedTensor& t : named_parameters()) all.push_back(t.tensor);
  return all;
}

Tensors Module::buffers() const {
  Tensors all;
  for (const NamedTensor& t : named_buffers()) all.push_back(t.tensor);
  return all;
}

int64_t Module::parameter_count() const {
  int64_t count = 0;
  for (const Tensor& t : parameters()) count += t.size();
  return count;
}

int64_t Module::key_count() const {
  int64_t count = 0;
  visit("", [&](const std::string&, const Module& m) { count += m.own_key_count(); });
  return count;
}

std::string Module::summary() const {
  std::ostringstream out;
  const std::function<void(const Module&, const std::string&, int)> line =
      [&](const Module& m, const std::string& name, int depth) {
        const std::string left = std::string(static_cast<size_t>(2 * depth), ' ') +
                                 (name.empty() ? "" : name + ": ") + m.describe();
        out << std::left << std::setw(56) << left << std::right << std::setw(12)
            << m.parameter_count();
        for (const NamedTensor& t : m.parameters_) out << "  " << t.name << ' ' << t.tensor.shape();
        for (const NamedTensor& t : m.buffers_)
          out << "  [" << t.name << ' ' << t.tensor.shape() << ']';
        out << '\n';
        for (const auto& [child_name, child] : m.children_) line(*child, child_name, depth + 1);
      };
  line(*this, "", 0);
  return out.str();
}

}  // namespace slope::nn
