"""Cases of the optimisers: in0 is the parameter at the start, in1.. the gradient of each step,
out0.. the parameter after each step."""

import torch

from .cases import normal

STEPS = 3


def add_all(cases):
    adam = dict(lr=0.1, beta1=0.9, beta2=0.999, eps=1e-8)
    rmsprop = dict(lr=0.05, alpha=0.99, eps=1e-8)
    for name, attributes in [
        ("sgd.plain", dict(lr=0.1, momentum=0.0, nesterov=False, weight_decay=0.0)),
        ("sgd.weight_decay", dict(lr=0.1, momentum=0.0, nesterov=False, weight_decay=0.05)),
        ("sgd.momentum", dict(lr=0.1, momentum=0.9, nesterov=False, weight_decay=0.0)),
        (
            "sgd.momentum_weight_decay",
            dict(lr=0.1, momentum=0.9, nesterov=False, weight_decay=0.05),
        ),
        ("sgd.nesterov", dict(lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.0)),
        ("sgd.nesterov_weight_decay", dict(lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.05)),
        ("adam.plain", dict(adam, weight_decay=0.0)),
        ("adam.weight_decay", dict(adam, weight_decay=0.05)),
        ("adam.other_betas", dict(lr=0.01, beta1=0.8, beta2=0.95, eps=1e-3, weight_decay=0.0)),
        ("adamw.plain", dict(adam, weight_decay=0.0)),
        ("adamw.weight_decay", dict(adam, weight_decay=0.05)),
        ("rmsprop.plain", dict(rmsprop, momentum=0.0, weight_decay=0.0)),
        ("rmsprop.weight_decay", dict(rmsprop, momentum=0.0, weight_decay=0.05)),
        ("rmsprop.momentum", dict(rmsprop, momentum=0.9, weight_decay=0.0)),
    ]:
        run(cases, name, attributes)


def run(cases, name, attributes):
    case, generator = cases.open(name, **attributes)
    options = dict(attributes)
    if "beta1" in options:
        options["betas"] = (options.pop("beta1"), options.pop("beta2"))
    kind = {
        "sgd": torch.optim.SGD,
        "adam": torch.optim.Adam,
        "adamw": torch.optim.AdamW,
        "rmsprop": torch.optim.RMSprop,
    }[case.op]
    parameter = torch.nn.Parameter(normal(3, 4)(generator))
    case.store("in0", parameter)
    optimiser = kind([parameter], **options)
    for step in range(STEPS):
        parameter.grad = normal(3, 4)(generator)
        case.store(f"in{step + 1}", parameter.grad)
        optimiser.step()
        case.store(f"out{step}", parameter)
