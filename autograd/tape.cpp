#include "autograd/tape.h"

#include <unordered_map>

#include "core/exact.h"
#include "core/ops.h"
#include "core/storage.h"

namespace slope {

// One op as the tape remembers it. Tensors that the gradient rule does not read are kept without
// their data.
struct Tape::Entry {
  const Op* op;
  Attributes attributes;
  Tensors inputs = {};
  Tensors outputs = {};
  std::vector<uint64_t> versions = {};  // of inputs, then outputs, at the time of recording
  bool exact = exact_kernels();         // then its gradient is computed by such kernels too
};

namespace {

uint64_t version_of(const Tensor& x) {
  return x.defined() && x.has_data() ? x.storage()->version() : 0;
}

void check_versions(const Op& op, const Tensors& kept, const uint64_t* versions) {
  for (size_t i = 0; i < kept.size(); ++i) {
    if (version_of(kept[i]) != versions[i]) {
      const std::string& label = kept[i].storage()->label();
      throw ValueError(
          concat("gradient: a value kept for the gradient of ", op.name, ", ", describe(kept[i]),
                 label.empty() ? "" : " (" + label + ")",
                 ", has been overwritten since. Take the gradient before writing in place."));
    }
  }
}

void accumulate(std::unordered_map<uint64_t, Tensor>& sums, const Tensor& x, const Tensor& d) {
  Tensor& sum = sums[x.id()];
  sum = sum.defined() ? add(sum, d) : d;
}

// The gradient of an op without a rule of its own: its decomposition, rerun under an inner tape.
Tensors decomposed_vjp(const Call& call, const std::vector<bool>& wanted,
                       const Tensors& cotangents) {
  SLOPE_ASSERT(call.op.decompose);
  Tensors xs;
  std::unordered_map<uint64_t, size_t>
      places;  // an input that is passed twice gets its gradient once
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (wanted[i] && places.emplace(call.inputs[i].id(), i).second) xs.push_back(call.inputs[i]);
  }
  Tape inner(xs);
  const Tensors outputs = call.op.decompose(call);
  const Tensors parts = inner.gradient(outputs, xs, cotangents);
  Tensors d(wanted.size());
  for (size_t i = 0; i < xs.size(); ++i) d[places.at(xs[i].id())] = parts[i];
  return d;
}

}  // namespace

Tape::Tape(const Tensors& watched) : scope_(*this) {
  for (const Tensor& x : watched) watch(x);
}

Tape::~Tape() = default;

void Tape::watch(const Tensor& x) {
  if (!is_float(x.dtype())) {
    throw DtypeError(
        concat("tape: cannot watch ", describe(x), ": only float32 and float64 have gradients."));
  }
  tracked_.insert(x.id());
  if (x.storage()) watched_.insert(x.storage()->id());
}

// The tape cannot undo a write: an overwritten value that depends on what is watched, or a value
// that enters by a write, would get a wrong gradient without a word.
void Tape::before_write(const Call& call) {
  for (int i = 0; i < call.count(); ++i) {
    const Tensor& x = call.in(i);
    if (!x.defined()) continue;
    const bool written = call.op.writes >> i & 1;
    if (written ? computed_.contains(x.storage()->id()) : tracks(x)) {
      throw ValueError(concat(
          call.op.name, ": ", describe(x),
          written ? " was computed from what a tape watches and cannot be overwritten"
                  : " was computed from what a tape watches and cannot be written into a tensor",
          " under it: the gradient would be wrong. Use the value itself, or write outside of the "
          "tape (MuteTapes)."));
    }
  }
}

void Tape::record(const Recorded& recorded) {
  const auto& [call, outputs, prepared, scratch] = recorded;
  if (!call.op.differentiable || outputs.empty()) return;
  bool touched = false;
  for (const Tensor& x : call.inputs) touched |= x.defined() && tracked_.contains(x.id());
  if (!touched) return;

  Entry entry{.op = &call.op, .attributes = call.attributes};
  const uint32_t keeps = call.op.vjp ? call.op.keeps : kInputs;
  const auto keep = [&](Tensors& to, std::span<const Tensor> from, uint32_t bits) {
    for (size_t i = 0; i < from.size(); ++i) {
      to.push_back(!from[i].defined() || (bits >> std::min<size_t>(i, 15) & 1)
                       ? from[i]
                       : from[i].without_data());
      entry.versions.push_back(version_of(to.back()));
    }
  };
  keep(entry.inputs, call.inputs, keeps & kInputs);
  keep(entry.outputs, outputs, keeps >> 16);
  const size_t visible = std::min<size_t>(outputs.size(), static_cast<size_t>(call.op.visible));
  for (size_t i = 0; i < visible; ++i) {
    if (!is_float(outputs[i].dtype())) continue;
    tracked_.insert(outputs[i].id());
    // A view of a watched tensor is no value of its own.
    const auto& storage = outputs[i].storage();
    if (storage && !watched_.contains(storage->id())) computed_.insert(storage->id());
  }
  entries_.push_back(std::move(entry));
}

Tensors Tape::gradient(const Tensor& y, const Tensors& xs, const Tensor& g) {
  if (!g.defined() && y.size() != 1) {
    throw ShapeError(
        concat("gradient: y ", describe(y),
               " is not a scalar. Take mean(y), or pass its gradient: tape.gradient(y, xs, g)."));
  }
  const Deafen deafen(*this);
  return gradient(Tensors{y}, xs, {g.defined() ? g : ones_like(y)});
}

Tensors Tape::gradient(const Tensors& ys, const Tensors& xs, const Tensors& gs) {
  const Deafen deafen(*this);
  for (const Tensor& x : xs) {
    if (!tracks(x)) {
      throw ValueError(concat("gradient: x ", describe(x),
                              " was not watched by this tape, so its gradient is unknown. "
                              "Write Tape tape({x})."));
    }
  }
  if (ys.size() != gs.size()) {
    throw ValueError(concat("gradient: ", ys.size(), " results, but ", gs.size(),
                            " gradients of results. Pass one for each; an undefined one is zero."));
  }
  std::unordered_map<uint64_t, Tensor> cotangents;
  for (size_t i = 0; i < ys.size(); ++i) {
    if (!gs[i].defined()) continue;
    if (gs[i].shape() != ys[i].shape() || gs[i].dtype() != ys[i].dtype()) {
      throw ShapeError(concat("gradient: y is ", describe(ys[i]), ", its gradient g ",
                              describe(gs[i]), ". They must have the same shape and dtype."));
    }
    if (gs[i].device() != ys[i].device()) {
      throw DeviceError(concat("gradient: y is on ", ys[i].device().name(), ", its gradient g on ",
                               gs[i].device().name(), ". Write g.to(y.device())."));
    }
    accumulate(cotangents, ys[i], gs[i]);
  }

  // Only what lies between xs and ys is differentiated: an attack on the image needs no weight
  // gradients.
  std::unordered_set<uint64_t> needed;
  for (const Tensor& x : xs) needed.insert(x.id());
  std::vector<bool> on_path(entries_.size());
  for (size_t e = 0; e < entries_.size(); ++e) {
    for (const Tensor& in : entries_[e].inputs)
      on_path[e] = on_path[e] || (in.defined() && needed.contains(in.id()));
    if (!on_path[e]) continue;
    for (const Tensor& out : entries_[e].outputs) needed.insert(out.id());
  }

  for (size_t e = entries_.size(); e-- > 0;) {
    if (!on_path[e]) continue;
    const Entry& entry = entries_[e];
    const size_t visible =
        std::min<size_t>(entry.outputs.size(), static_cast<size_t>(entry.op->visible));
    Tensors gs_out(visible);
    bool reached = false;
    for (size_t i = 0; i < visible; ++i) {
      const auto found = cotangents.find(entry.outputs[i].id());
      if (found == cotangents.end()) continue;
      gs_out[i] = found->second;
      reached = true;
    }
    if (!reached) continue;
    std::vector<bool> wanted(entry.inputs.size());
    for (size_t i = 0; i < wanted.size(); ++i) {
      wanted[i] = entry.inputs[i].defined() && needed.contains(entry.inputs[i].id());
    }
    check_versions(*entry.op, entry.inputs, entry.versions.data());
    check_versions(*entry.op, entry.outputs, entry.versions.data() + entry.inputs.size());

    const Call call{*entry.op, entry.inputs, entry.attributes};
    const ExactScope exact(entry.exact);
    Tensors d;
    if (entry.op->vjp) {
      d = entry.op->vjp({call, entry.outputs, gs_out, wanted, tape_listens()});
    } else {
      SLOPE_ASSERT(entry.op->decompose);
      d = decomposed_vjp(call, wanted, gs_out);
    }
    for (size_t i = 0; i < d.size(); ++i) {
      if (d[i].defined() && wanted[i]) {
        accumulate(cotangents, entry.inputs[i], sum_to(d[i], entry.inputs[i].shape()));
      }
    }
    for (size_t i = 0; i < visible;
         ++i) {  // their memory may be reused now, unless somebody asked for them
      const uint64_t id = entry.outputs[i].id();
      bool asked = false;
      for (const Tensor& x : xs) asked = asked || x.id() == id;
      if (!asked) cotangents.erase(id);
    }
  }

  Tensors result;
  for (const Tensor& x : xs) {
    const auto found = cotangents.find(x.id());
    result.push_back(found != cotangents.end() ? found->second : zeros_like(x));
  }
  return result;
}

}  // namespace slope
