"""Writes what PyTorch gives when it trains three tiny models: test/golden/training-{gpt,conv,mlp}.safetensors.

Usage: python tools/goldens/training.py [OUT_DIR]

Parameters and inputs are representable in bf16, so that every precision starts from the same numbers. Keys: `init.P` (parameters), `x.I` and
`y.I` (the inputs of step I % 4), then for each of f64, f32 and bf16: `D.losses` (20), `D.grad.P` (of the first step), `D.final.P` (after 20
AdamW steps, lr 1e-2, betas 0.9 and 0.99, eps 1e-5, weight decay 0.1).
The eps is large because a key bias has no gradient but rounding noise, which Adam would scale up to full steps.
"""

import math
import os
import sys

import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

STEPS, BATCHES = 20, 4


class Block(nn.Module):
    def __init__(self, d, heads):
        super().__init__()
        self.heads = heads
        self.ln1 = nn.LayerNorm(d)
        self.qkv = nn.Linear(d, 3 * d)
        self.proj = nn.Linear(d, d)
        self.ln2 = nn.LayerNorm(d)
        self.fc = nn.Linear(d, 4 * d)
        self.out = nn.Linear(4 * d, d)

    def forward(self, x):
        b, s, d = x.shape
        q, k, v = (t.reshape(b, s, self.heads, d // self.heads).transpose(1, 2) for t in self.qkv(self.ln1(x)).split(d, dim=2))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.proj(y.transpose(1, 2).reshape(b, s, d))
        return x + self.out(F.gelu(self.fc(self.ln2(x))))


class Gpt(nn.Module):
    def __init__(self, vocab=11, s=8, d=8, heads=2, layers=2):
        super().__init__()
        self.wte = nn.Embedding(vocab, d)
        self.wpe = nn.Embedding(s, d)
        self.blocks = nn.ModuleList(Block(d, heads) for _ in range(layers))
        self.lnf = nn.LayerNorm(d)
        self.head = nn.Linear(d, vocab, bias=False)

    def forward(self, x):
        h = self.wte(x) + self.wpe(torch.arange(x.shape[1]))
        for block in self.blocks:
            h = block(h)
        return self.head(self.lnf(h))

    def loss(self, x, y):
        return F.cross_entropy(self(x).reshape(-1, 11), y.reshape(-1))


class Conv(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 4, 3, padding=1)
        self.norm = nn.GroupNorm(2, 4)
        self.conv2 = nn.Conv2d(4, 6, 3, stride=2)
        self.fc = nn.Linear(6, 3)

    def forward(self, x):
        h = F.max_pool2d(F.relu(self.norm(self.conv1(x))), 2)
        return self.fc(F.silu(self.conv2(h)).mean((2, 3)))

    def loss(self, x, y):
        return F.cross_entropy(self(x), y, label_smoothing=0.1)


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(5, 12)
        self.b = nn.Linear(12, 12)
        self.c = nn.Linear(12, 2)

    def forward(self, x):
        return self.c(torch.tanh(self.b(F.elu(self.a(x)))))

    def loss(self, x, y):
        return F.mse_loss(self(x), y)


def representable(x):
    return x.to(torch.bfloat16).to(torch.float32)


def batches(name):
    g = torch.Generator().manual_seed(7)
    for _ in range(BATCHES):
        if name == "gpt":
            t = torch.randint(0, 11, (4, 9), generator=g)
            yield t[:, :-1].contiguous(), t[:, 1:].contiguous()
        elif name == "conv":
            yield representable(torch.randn(6, 1, 8, 8, generator=g)), torch.randint(0, 3, (6,), generator=g)
        else:
            x = representable(torch.randn(16, 5, generator=g))
            yield x, representable(torch.stack([x[:, 0] * x[:, 1], torch.sin(x[:, 2])], 1))


def train(model, name, dtype):
    model = model.to(dtype)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, betas=(0.9, 0.99), eps=1e-5, weight_decay=0.1, foreach=False)
    data = list(batches(name))
    losses, out, key = [], {}, str(dtype).replace("torch.float", "f").replace("torch.bfloat", "bf")
    for step in range(STEPS):
        x, y = (t.to(dtype) if t.is_floating_point() else t for t in data[step % BATCHES])
        optimizer.zero_grad()
        loss = model.loss(x, y)
        loss.backward()
        if step == 0:
            out |= {f"{key}.grad.{n}": p.grad.clone() for n, p in model.named_parameters()}
        optimizer.step()
        losses.append(loss.item())
    out |= {f"{key}.final.{n}": p.detach().clone() for n, p in model.named_parameters()}
    out[f"{key}.losses"] = torch.tensor(losses, dtype=torch.float64)
    return out, losses


def main(folder):
    torch.set_num_threads(1)
    os.makedirs(folder, exist_ok=True)
    for name, make in {"gpt": Gpt, "conv": Conv, "mlp": Mlp}.items():
        torch.manual_seed(1)
        first = {n: representable(p.detach()) for n, p in make().named_parameters()}
        tensors = {f"init.{n}": p.to(torch.bfloat16) for n, p in first.items()}
        for i, (x, y) in enumerate(batches(name)):
            tensors |= {f"x.{i}": x, f"y.{i}": y}
        for dtype in (torch.float64, torch.float32, torch.bfloat16):
            model = make()
            model.load_state_dict(first)
            out, losses = train(model, name, dtype)
            assert all(math.isfinite(x) for x in losses) and losses[-1] < losses[0], (name, dtype, losses)
            tensors |= out
            print(name, dtype, f"{losses[0]:.4f} -> {losses[-1]:.4f}")
        save_file({k: v.contiguous() for k, v in tensors.items()}, os.path.join(folder, f"training-{name}.safetensors"))


main(sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__), "../../test/golden"))
