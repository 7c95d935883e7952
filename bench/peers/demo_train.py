"""PyTorch's side of demo-train-f32: the demo's GPT, one AdamW step a request. First argument: eager or compile; second: the shape as JSON."""
import json
import math
import sys
import time

try:
    import torch
    import torch.nn.functional as F
except ImportError:
    print(json.dumps({"missing": "PyTorch (set TREEPIE_PYTHON to a Python that has it)"}), flush=True)
    sys.exit(0)

mode, c = sys.argv[1], json.loads(sys.argv[2])
torch.manual_seed(0)
torch.set_num_threads(c["threads"])
width, heads, layers, context, batch, vocabulary = (c[k] for k in ("width", "heads", "layers", "context", "batch", "vocabulary"))


def rotate(x, cos, sin):
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


class Block(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = torch.nn.LayerNorm(width), torch.nn.LayerNorm(width)
        self.qkv, self.out = torch.nn.Linear(width, 3 * width), torch.nn.Linear(width, width)
        self.up, self.down = torch.nn.Linear(width, 4 * width), torch.nn.Linear(4 * width, width)

    def forward(self, x, cos, sin):
        b, t, d = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(b, t, 3, heads, d // heads).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(rotate(q, cos, sin), rotate(k, cos, sin), v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).reshape(b, t, d))
        return x + self.down(F.gelu(self.up(self.norm2(x)), approximate="tanh"))


class GPT(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = torch.nn.Embedding(vocabulary, width)
        self.blocks = torch.nn.ModuleList(Block() for _ in range(layers))
        self.norm = torch.nn.LayerNorm(width)
        self.head = torch.nn.Linear(width, vocabulary, bias=False)
        half = width // heads // 2
        angle = torch.arange(context)[:, None] * 10000 ** (-torch.arange(half) / half)
        self.register_buffer("cos", angle.cos())
        self.register_buffer("sin", angle.sin())

    def forward(self, tokens):
        x = self.embed(tokens)
        for block in self.blocks:
            x = block(x, self.cos, self.sin)
        return self.head(self.norm(x))


model = GPT()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.1, betas=(0.9, 0.95))


def loss_of(x, y):
    return F.cross_entropy(model(x).flatten(0, 1), y.flatten())


forward = torch.compile(loss_of) if mode == "compile" else loss_of
x = torch.randint(0, vocabulary, (batch, context))
y = torch.randint(0, vocabulary, (batch, context))


def step():
    loss = forward(x, y)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return loss.item()


try:
    for _ in range(3):
        step()
except Exception as e:  # torch.compile needs a C++ compiler
    print(json.dumps({"missing": f"torch.{mode}: {str(e).splitlines()[0][:160]}"}), flush=True)
    sys.exit(0)
print(json.dumps({"ready": mode, "torch": torch.__version__}), flush=True)
for line in sys.stdin:
    n = json.loads(line)["steps"]
    start = time.perf_counter()
    for _ in range(n):
        loss = step()
    assert math.isfinite(loss)
    print(json.dumps({"seconds": (time.perf_counter() - start) / n}), flush=True)
