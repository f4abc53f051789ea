#include "apps/models/exchange.h"

#include <algorithm>
#include <cctype>
#include <optional>
#include <set>

#include "core/ops/movement.h"

namespace slope::models {
namespace {

constexpr const char* kCounter = ".num_batches_tracked";
using Names = std::map<std::string, std::string>;

std::string module_of(const std::string& name) {
  const size_t dot = name.rfind('.');
  return dot == std::string::npos ? "" : name.substr(0, dot);
}

std::vector<std::string> split(const std::string& name) {
  std::vector<std::string> parts;
  size_t begin = 0;
  for (size_t dot; (dot = name.find('.', begin)) != std::string::npos; begin = dot + 1)
    parts.push_back(name.substr(begin, dot - begin));
  parts.push_back(name.substr(begin));
  return parts;
}

bool is_number(const std::string& text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isdigit(c); });
}

// Where sections of published networks stand in the forward pass (torchdiffeq's example and the
// meta-solver's code); none for other words.
std::optional<int> section_rank(const std::string& part) {
  static const std::map<std::string, int> ranks = {{"conv1", 0},
                                                   {"bn1", 1},
                                                   {"downsampling_layers", 2},
                                                   {"feature_layers", 3},
                                                   {"blocks", 3},
                                                   {"layer1", 4},
                                                   {"layer2", 5},
                                                   {"layer3", 6},
                                                   {"layer4", 7},
                                                   {"fc", 8},
                                                   {"fc_layers", 8},
                                                   {"linear", 8},
                                                   {"blocks_res", 0},
                                                   {"blocks_ode", 1}};
  const auto found = ranks.find(part);
  return found == ranks.end() ? std::nullopt : std::optional(found->second);
}

// Forward order of module names, where numbers and known sections say it.
bool comes_before(const std::string& a, const std::string& b) {
  const auto x = split(a), y = split(b);
  for (size_t i = 0; i < std::min(x.size(), y.size()); ++i) {
    if (x[i] == y[i]) continue;
    const auto rank_x = section_rank(x[i]), rank_y = section_rank(y[i]);
    if (rank_x && rank_y && *rank_x != *rank_y) return *rank_x < *rank_y;
    if (is_number(x[i]) && is_number(y[i])) {
      return x[i].size() != y[i].size() ? x[i].size() < y[i].size() : x[i] < y[i];
    }
    return x[i] < y[i];
  }
  return x.size() < y.size();
}

// The tensors of one layer.
struct Group {
  std::string module;
  std::map<std::string, Shape> leaves;  // "weight", "bias", ..

  // What groups must share to be exchanged for each other.
  std::string signature() const {
    std::string text;
    for (const auto& [leaf, shape] : leaves) text += concat(leaf, shape);
    return text;
  }
};

Shape shape_in(Layout layout, const Shape& shape) {
  return layout == Layout::torch ? torch_shape(shape) : shape;
}

// In the order in which modules appear.
std::vector<Group> groups_of(const std::vector<nn::NamedTensor>& tensors, Layout layout) {
  std::vector<Group> groups;
  for (const auto& [name, tensor] : tensors) {
    const std::string module = module_of(name);
    auto group = std::find_if(groups.begin(), groups.end(),
                              [&, &m = module](const Group& g) { return g.module == m; });
    if (group == groups.end()) group = groups.insert(group, Group{module, {}});
    group->leaves[name.substr(module.empty() ? 0 : module.size() + 1)] =
        shape_in(layout, tensor.shape());
  }
  return groups;
}

// The file's modules in forward order, as far as the file tells it; false: it does not.
bool put_in_order(std::vector<Group>& groups, bool sorted_by_name) {
  if (!sorted_by_name) return true;  // the writer's order
  for (const Group& g : groups) {
    const std::string first = split(g.module).front();
    if (!is_number(first) && !section_rank(first)) return false;
  }
  std::stable_sort(groups.begin(), groups.end(),
                   [](const Group& a, const Group& b) { return comes_before(a.module, b.module); });
  return true;
}

// Empty where the groups of a file and a model cannot be paired.
Names names_by_order(const std::vector<nn::NamedTensor>& sources,
                     const std::vector<nn::NamedTensor>& targets, Layout layout) {
  std::vector<Group> from = groups_of(sources, Layout::slope),  // shapes as they are
      to = groups_of(targets, layout);
  const bool sorted = std::is_sorted(
      sources.begin(), sources.end(),
      [](const nn::NamedTensor& a, const nn::NamedTensor& b) { return a.name < b.name; });
  if (from.size() != to.size() || !put_in_order(from, sorted)) return {};
  Names names;
  std::vector<bool> used(from.size());
  for (const Group& wanted : to) {
    size_t i = 0;
    while (i < from.size() && (used[i] || from[i].signature() != wanted.signature())) ++i;
    if (i == from.size()) return {};
    used[i] = true;
    const auto full = [](const Group& g, const std::string& leaf) {
      return g.module.empty() ? leaf : g.module + "." + leaf;
    };
    for (const auto& [leaf, shape] : wanted.leaves) names[full(wanted, leaf)] = full(from[i], leaf);
  }
  return names;
}

// What a source is called in the model.
std::string own_name(const std::string& source, const Names& renamed, size_t prefix) {
  const auto found = renamed.find(source);
  return found != renamed.end() ? found->second : source.substr(prefix);
}

size_t common_prefix(const std::vector<nn::NamedTensor>& sources) {
  for (const std::string prefix : {"module.", "_orig_mod."}) {
    if (!sources.empty() &&
        std::all_of(sources.begin(), sources.end(),
                    [&](const nn::NamedTensor& t) { return t.name.starts_with(prefix); }))
      return prefix.size();
  }
  return 0;
}

}  // namespace

Shape torch_shape(const Shape& s) {
  if (s.rank() == 4) return {s[0], s[3], s[1], s[2]};
  if (s.rank() == 3) return {s[0], s[2], s[1]};
  return s;
}

Tensor to_torch(const Tensor& x) {
  if (x.rank() == 4) return contiguous(permute(x, {0, 3, 1, 2}));
  if (x.rank() == 3) return contiguous(permute(x, {0, 2, 1}));
  return x;
}

Tensor from_torch(const Tensor& x) {
  if (x.rank() == 4) return contiguous(permute(x, {0, 2, 3, 1}));
  if (x.rank() == 3) return contiguous(permute(x, {0, 2, 1}));
  return x;
}

bool is_batch_counter(const std::string& name) { return name.ends_with(kCounter); }

std::vector<nn::NamedTensor> torch_state(const nn::Module& model, int64_t batches) {
  std::vector<nn::NamedTensor> state;
  for (const auto& [name, tensor] : model.named_parameters())
    state.push_back({name, to_torch(tensor)});
  for (const auto& [name, tensor] : model.named_buffers()) {
    state.push_back({name, to_torch(tensor)});
    if (name.ends_with(".running_var")) {
      state.push_back({module_of(name) + kCounter,
                       from_host(std::vector<int32_t>{static_cast<int32_t>(batches)}, {})});
    }
  }
  return state;
}

Assignment assign(const std::vector<nn::NamedTensor>& sources,
                  const std::vector<nn::NamedTensor>& targets, Layout layout,
                  const std::map<std::string, std::string>& renamed, const std::string& file) {
  const size_t prefix = common_prefix(sources);
  std::map<std::string, const nn::NamedTensor*> by_target;
  std::string problems;
  for (const nn::NamedTensor& s : sources) {
    const auto [place, is_new] = by_target.emplace(own_name(s.name, renamed, prefix), &s);
    if (!is_new) {
      problems +=
          concat("\n  ", s.name, " and ", place->second->name, " both become ", place->first);
    }
  }
  for (const auto& [source, target] : renamed) {
    if (std::none_of(sources.begin(), sources.end(),
                     [&, &s = source](const nn::NamedTensor& t) { return t.name == s; }))
      problems += concat("\n  ", source, ", renamed to ", target, ", is not in the file");
  }

  Assignment result;
  std::vector<std::string> left_over;
  for (const auto& [name, source] : by_target) {
    if (std::none_of(targets.begin(), targets.end(),
                     [&, &n = name](const nn::NamedTensor& t) { return t.name == n; }))
      left_over.push_back(name);
  }
  if (renamed.empty() && left_over.size() == sources.size()) {
    result.source_of = names_by_order(sources, targets, layout);
    result.by_order = !result.source_of.empty();
    if (result.by_order) return result;
  }
  for (const nn::NamedTensor& t : targets) {
    const Shape wanted = shape_in(layout, t.tensor.shape());
    const auto found = by_target.find(t.name);
    if (found == by_target.end()) {
      problems += concat("\n  no ", t.name, " ", wanted);
    } else if (found->second->tensor.shape() != wanted) {
      problems += concat("\n  ", found->second->name, " is ", found->second->tensor.shape(),
                         ", the model has ", wanted);
    } else {
      result.source_of[t.name] = found->second->name;
    }
  }
  for (const std::string& name : left_over) {
    const nn::NamedTensor& source = *by_target.at(name);
    problems += concat("\n  ", source.name, " ", source.tensor.shape(), " is not in the model");
  }
  if (problems.empty()) return result;
  throw DataError(concat("import: ", file, " does not fit the model; nothing was imported.",
                         " Rename with --names MAP.json, {\"source name\": \"slope name\"}, or "
                         "choose another --layout:",
                         problems));
}

void import_state(const std::vector<nn::NamedTensor>& sources,
                  const std::vector<nn::NamedTensor>& targets, const Assignment& assignment,
                  Layout layout) {
  for (const auto& [name, target] : targets) {
    const std::string& wanted = assignment.source_of.at(name);
    const auto source = std::find_if(sources.begin(), sources.end(),
                                     [&](const nn::NamedTensor& s) { return s.name == wanted; });
    const Tensor values = layout == Layout::torch ? from_torch(source->tensor) : source->tensor;
    copy_into(target, cast(values, target.dtype()));
  }
}

}  // namespace slope::models
