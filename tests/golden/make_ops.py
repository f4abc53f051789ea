"""Makes ops.safetensors and ops.json: values and gradients of every op that PyTorch has too.

    python tests/golden/make_ops.py

Needs torch, numpy and safetensors. What the files hold: README.md beside this script.
"""

import json
from pathlib import Path

import torch
from safetensors.numpy import save

from ops import (
    contractions,
    exact,
    losses,
    movement,
    normalisation,
    optimisers,
    pointwise,
    reductions,
)
from ops.cases import Cases

HERE = Path(__file__).parent
LIMIT = 1_500_000  # bytes of a file that lives in the repository


def main():
    cases = Cases()
    for family in (
        pointwise,
        movement,
        reductions,
        contractions,
        normalisation,
        losses,
        optimisers,
    ):
        family.add_all(cases)
    worst = exact.check(cases)

    tensors = {
        f"{case.name}/{key}": value
        for case in cases.all.values()
        for key, value in case.tensors.items()
    }
    data = save(tensors, metadata={"torch": torch.__version__})
    if len(data) > LIMIT:
        raise SystemExit(f"ops.safetensors would have {len(data)} bytes; the limit is {LIMIT}")
    (HERE / "ops.safetensors").write_bytes(data)

    lines = [
        f"  {json.dumps(case.name)}: {json.dumps({'op': case.op, 'attributes': case.attributes})}"
        for case in cases.all.values()
    ]
    (HERE / "ops.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")

    ops = {case.op for case in cases.all.values()}
    print(
        f"{len(cases.all)} cases of {len(ops)} ops, {len(tensors)} tensors, {len(data)} bytes; "
        f"pointwise values within {worst:.1e} of the true ones"
    )


if __name__ == "__main__":
    main()
