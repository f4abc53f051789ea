"""Golden values of attacks: FGSM, PGD, APGD, Square and FAB on a small network, written from the papers'
descriptions with PyTorch's gradients, and stored with everything that they start from.

  python3 tests/golden/make_attacks.py > tests/golden/attacks.json

Random draws are those of slope: Philox4x32-10 with key `seed` and counter (block, 0, stream, sample).
"""
import json
import math

import torch

torch.set_default_dtype(torch.float64)
MASK = 0xFFFFFFFF
SEED = 7
PGD, APGD, SQUARE = 0x41020000, 0x41030000, 0x41040000


def philox(counter, key):
    c, k = list(counter), list(key)
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(b >> 32) ^ c[1] ^ k[0], b & MASK, (a >> 32) ^ c[3] ^ k[1], a & MASK]
        k = [(k[0] + 0x9E3779B9) & MASK, (k[1] + 0xBB67AE85) & MASK]
    return c


class Draws:
    def __init__(self, stream, sample):
        self.stream, self.sample, self.block, self.left = stream, sample, 0, []

    def uniform(self):
        if not self.left:
            w = philox((self.block, 0, self.stream, self.sample), (SEED, 0))
            self.left = [((w[0] << 32 | w[1]) >> 11) * 2.0**-53, ((w[2] << 32 | w[3]) >> 11) * 2.0**-53]
            self.block += 1
        return self.left.pop(0)

    def between(self, low, high):
        return low + (high - low) * self.uniform()

    def normal(self):
        radius = math.sqrt(-2 * math.log(1 - self.uniform()))
        return radius * math.cos(2 * math.pi * self.uniform())

    def sign(self):
        return -1.0 if self.uniform() < 0.5 else 1.0


N, H, W, CH, K, HIDDEN = 6, 4, 5, 2, 5, 12
D = H * W * CH
generator = torch.Generator().manual_seed(3)
w1 = torch.randn(HIDDEN, D, generator=generator) * 0.6
b1 = torch.randn(HIDDEN, generator=generator) * 0.1
w2 = torch.randn(K, HIDDEN, generator=generator)
x0 = torch.rand(N, D, generator=generator)


def net(x):
    return torch.tanh(x @ w1.T + b1) @ w2.T


labels = net(x0).argmax(1)
rows = torch.arange(N)


def margin(z):
    other = z.clone()
    other[rows, labels] = -math.inf
    return other.max(1).values - z[rows, labels]


def loss_of(z, kind, target=None):
    order = z.sort(dim=1, descending=True).values
    if kind == "ce":
        return torch.nn.functional.cross_entropy(z, labels, reduction="none")
    if kind == "dlr":
        return margin(z) / (order[:, 0] - order[:, 2] + 1e-12)
    if kind == "dlr-targeted":
        return (z[rows, target] - z[rows, labels]) / (
            order[:, 0] - 0.5 * (order[:, 2] + order[:, 3]) + 1e-12)
    raise ValueError(kind)


def look(x, kind, target=None):
    x = x.clone().requires_grad_(True)
    z = net(x)
    losses = loss_of(z, kind, target)
    (g,) = torch.autograd.grad(losses.sum(), x)
    return losses.detach(), g, z.detach()


def into(x, eps):
    return torch.minimum(torch.maximum(x, x0 - eps), x0 + eps).clamp(0, 1)


class Found:
    """The iterate that fools, then the one of the largest value."""

    def __init__(self):
        self.x, self.value, self.fooled = x0.clone(), torch.full((N,), -math.inf), torch.zeros(N, dtype=torch.bool)

    def offer(self, x, value, fooled):
        for i in range(N):
            if (fooled[i], value[i]) > (self.fooled[i], self.value[i]):
                self.x[i], self.value[i], self.fooled[i] = x[i], value[i], fooled[i]


def pgd(eps, step, iterations):
    start = torch.tensor([[(d.between(-eps, eps)) for _ in range(D)]
                          for d in (Draws(PGD, i) for i in range(N))])
    x, found = into(x0 + start, eps), Found()
    for k in range(iterations + 1):
        losses, g, z = look(x, "ce")
        found.offer(x, losses, z.argmax(1) != labels)
        if k < iterations:
            x = into(x + step * g.sign(), eps)
    return found.x


def pgd_kl(eps, step, iterations):
    """The inner maximisation of TRADES: the divergence from the clean prediction, from a start beside it."""
    p = torch.softmax(net(x0), 1).detach()
    x = x0 + 0.001 * torch.tensor([[d.normal() for _ in range(D)] for d in (Draws(PGD, i) for i in range(N))])
    for _ in range(iterations):
        leaf = x.clone().requires_grad_(True)
        loss = torch.nn.functional.kl_div(torch.log_softmax(net(leaf), 1), p, reduction="sum")
        (g,) = torch.autograd.grad(loss, leaf)
        x = into(x + step * g.sign(), eps)
    return x


def apgd(eps, iterations, kind, found, stream, target=None):
    u = torch.tensor([[d.between(-1, 1) for _ in range(D)]
                      for d in (Draws(stream, i) for i in range(N))])
    x = into(x0 + eps * u / u.abs().max(1, keepdim=True).values, eps)
    losses, g, z = look(x, kind, target)
    found.offer(x, margin(z), z.argmax(1) != labels)
    best_x, best_g, best = x.clone(), g.clone(), losses.clone()
    best_before, reduced = best.clone(), torch.ones(N, dtype=torch.bool)
    step = torch.full((N, 1), 2 * eps)
    history = [torch.zeros(N)]  # what the first loss is compared with
    window, shortest, shorter = max(int(0.22 * iterations), 1), max(int(0.06 * iterations), 1), max(int(0.03 * iterations), 1)
    since, old = 0, x.clone()
    for k in range(iterations):
        a = 1.0 if k == 0 else 0.75
        z_point = into(x + step * g.sign(), eps)
        new = into(x + a * (z_point - x) + (1 - a) * (x - old), eps)
        old, x = x, new
        losses, g, z = look(x, kind, target)
        found.offer(x, margin(z), z.argmax(1) != labels)
        history.append(losses)
        better = losses > best
        best_x[better], best_g[better], best[better] = x[better], g[better], losses[better]
        since += 1
        if since == window:
            rises = sum((history[-1 - j] > history[-2 - j]).double() for j in range(window))
            halve = (rises <= 0.75 * window) | (~reduced & (best_before >= best))
            reduced, best_before = halve.clone(), best.clone()
            step[halve] /= 2
            x, g = x.clone(), g.clone()
            x[halve], g[halve] = best_x[halve], best_g[halve]
            window, since = max(window - shorter, shortest), 0


def square(eps, queries):
    result = []
    for i in range(N):
        d, clean = Draws(SQUARE, i), x0[i].reshape(H, W, CH)
        best, best_value = None, None
        for q in range(queries):
            if q == 0:
                change = torch.zeros(H, W, CH)
                for col in range(W):
                    for c in range(CH):
                        change[:, col, c] = eps * d.sign()
                trial = (clean + change).clamp(0, 1)
            else:
                p = 0.8
                for halved in (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000):
                    p = p / 2 if q > halved else p
                side = min(max(round(math.sqrt(p * H * W)), 1), min(H, W))
                top, left = int(d.uniform() * max(H - side, 1)), int(d.uniform() * max(W - side, 1))
                trial = best.clone()
                for c in range(CH):
                    part = trial[top:top + side, left:left + side, c]
                    part += 2 * eps * d.sign()
                trial = torch.minimum(torch.maximum(trial, clean - eps), clean + eps).clamp(0, 1)
            z = net(trial.reshape(1, D))[0]
            others = torch.cat([z[:labels[i]], z[labels[i] + 1:]])
            value = (others.max() - z[labels[i]]).item()
            if best is None or value > best_value or value > 0:
                best, best_value = trial, value
            if value > 0:
                break
        result.append(best.reshape(D))
    return torch.stack(result)


def rectangles(h, w):
    hill, top, left = torch.zeros(h, w), h // 2 + 1 - 1, w // 2 + 1 - 1
    for k in range(max(h // 2, w // 2) + 1):
        hill[max(top, 0):min(top + 2 * k + 1, h), max(left, 0):min(left + 2 * k + 1, w)] += 1.0 / (k + 1) ** 2
        top, left = top - 1, left - 1
    return hill / hill.norm()


def hills(d, side):
    both = torch.cat([rectangles(side // 2, side) if side > 1 else torch.zeros(0, side),
                      -rectangles(side - side // 2, side)])
    both = both / both.norm()
    return both.T if d.uniform() > 0.5 else both


def square_l2(eps, queries):
    result = []
    for i in range(N):
        d, clean = Draws(SQUARE, i), x0[i].reshape(H, W, CH)

        def on_ball(change):
            return (clean + change * (eps / (change.norm() + 1e-12))).clamp(0, 1)

        best, best_value = None, None
        for q in range(queries):
            if q == 0:
                change, side = torch.zeros(H, W, CH), max(H // 5, 1)
                first = 0 if H < 5 else (H - 5 * side) // 2
                for top in range(first, H - side + 1, side):
                    for left in range(first, W - side + 1, side):
                        hill = hills(d, side)
                        for c in range(CH):
                            change[top:top + side, left:left + side, c] += d.sign() * hill
            else:
                p = 0.8
                for halved in (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000):
                    p = p / 2 if q > halved else p
                side = max(min(max(round(math.sqrt(p * H * W)), 1), min(H, W)), 3)
                side = min(side + 1 - side % 2, min(H, W))
                top, left, top2, left2 = (int(d.uniform() * max(n - side, 1)) for n in (H, W, H, W))
                change = best - clean
                one = (slice(top, top + side), slice(left, left + side))
                two = (slice(top2, top2 + side), slice(left2, left2 + side))
                mask = torch.zeros(H, W, 1)
                mask[one] = mask[two] = 1
                both = (change * mask).norm() ** 2
                spare = max(eps**2 - change.norm().item() ** 2, 0.0)
                hill = hills(d, side)
                old = change[one].clone()
                new = torch.stack([d.sign() * hill + old[..., c] / (1e-12 + old[..., c].norm())
                                   for c in range(CH)], -1)
                new = new / (1e-12 + new.flatten(0, 1).norm(dim=0)) * (spare / CH + both) ** 0.5
                change[two] = 0
                change[one] = new
            trial = on_ball(change)
            z = net(trial.reshape(1, D))[0]
            value = (torch.cat([z[:labels[i]], z[labels[i] + 1:]]).max() - z[labels[i]]).item()
            if best is None or value > best_value or value > 0:
                best, best_value = trial, value
            if value > 0:
                break
        result.append(best.reshape(D))
    return torch.stack(result)


def to_plane(x, w, value, norm="linf"):
    """The smallest move in the norm that brings `value` to 0 inside [0, 1]: every value goes t (L2: t |w|)
    towards the plane or to the edge; t by halving."""
    way = -torch.sign(w) * math.copysign(1.0, value)
    room = torch.where(way > 0, 1 - x, x)
    pace = torch.ones_like(w) if norm == "linf" else w.abs()
    low, high = 0.0, (room / pace)[w != 0].max().item()
    for _ in range(200):
        t = (low + high) / 2
        reached = (w.abs() * torch.minimum(t * pace, room)).sum().item()
        low, high = (t, high) if reached < abs(value) else (low, t)
    return way * torch.minimum(high * pace, room)


def fab(eps, iterations, norm="linf"):
    length = (lambda d: d.abs().max().item()) if norm == "linf" else (lambda d: d.norm().item())
    result = x0.clone()
    for i in range(N):
        nearest, clean = math.inf, x0[i]
        order = sorted((c for c in range(K) if c != labels[i]), key=lambda c: -net(x0)[i, c])
        for t in order:
            if nearest <= eps:
                break
            x = clean.clone()
            for _ in range(iterations):
                leaf = x.clone().requires_grad_(True)
                z = net(leaf[None])[0]
                value = z[t] - z[labels[i]]
                (w,) = torch.autograd.grad(value, leaf)
                value = value.item()
                d1 = to_plane(x, w, value, norm)
                d2 = to_plane(clean, w, value + (w * (clean - x)).sum().item(), norm)
                a1, a2 = length(d1), length(d2)
                a = min(a1 / (a1 + a2), 0.1)
                x = ((x + 1.05 * d1) * (1 - a) + (clean + 1.05 * d2) * a).clamp(0, 1)
                if net(x[None])[0].argmax() != labels[i]:
                    distance = length(x - clean)
                    if distance < nearest:
                        nearest, best = distance, x.clone()
                    x = clean + 0.9 * (x - clean)
        if nearest <= eps:
            result[i] = best
    return result


EPS = 0.04
apgd_found = {}
for kind, number in (("ce", 0), ("dlr", 0)):
    apgd_found[kind] = Found()
    apgd(EPS, 40, kind, apgd_found[kind], APGD + number)
targeted = Found()
clean = net(x0)
for rank in range(K - 1):
    aim = []
    for i in range(N):
        order = sorted((c for c in range(K) if c != labels[i]), key=lambda c: -clean[i, c])
        aim.append(order[rank])
    apgd(EPS, 20, "dlr-targeted", targeted, APGD + 1000 + rank, torch.tensor(aim))
_, gradient, _ = look(x0, "dlr")
flat = lambda t: [float(v) for v in t.detach().reshape(-1)]
print(json.dumps({
    "shape": [N, H, W, CH], "classes": K, "hidden": HIDDEN, "seed": SEED, "eps": EPS,
    "w1": flat(w1), "b1": flat(b1), "w2": flat(w2), "x": flat(x0), "labels": [int(v) for v in labels],
    "fgsm_dlr": flat((x0 + EPS * gradient.sign()).clamp(0, 1)),
    "pgd_10": flat(pgd(EPS, 0.01, 10)),
    "apgd_ce_40": flat(apgd_found["ce"].x), "apgd_dlr_40": flat(apgd_found["dlr"].x),
    "apgd_t_20": flat(targeted.x), "square_300": flat(square(EPS, 300)),
    "pgd_kl_10": flat(pgd_kl(EPS, 0.01, 10)),
    "l2_eps": 0.3, "square_l2_300": flat(square_l2(0.3, 300)),
    "fab_eps": 0.15, "fab_20": flat(fab(0.15, 20)), "fab_l2_eps": 0.6, "fab_l2_20": flat(fab(0.6, 20, "l2"))}))
