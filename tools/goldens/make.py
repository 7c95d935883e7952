"""Writes what PyTorch gives for products, activations, norms, attention, convolutions, pooling, losses and sorting: test/golden/nn.json, nn.safetensors.

Usage: python tools/goldens/make.py [OUT_DIR]

The JSON lists operators by PyTorch's name with their calls, in which a tensor is {"tensor": KEY}. Floating inputs are representable in bf16 and
stored so; results, cotangents' gradients are stored under f64/KEY, f32/KEY and bf16/KEY, computed from the same numbers in that precision.
"""

import json
import os
import sys

import torch
from safetensors.torch import save_file
from torch.nn import functional as F

torch.set_num_threads(1)
DTYPES = {"f64": torch.float64, "f32": torch.float32, "bf16": torch.bfloat16}
tensors, operators = {}, {}
generator = torch.Generator().manual_seed(11)


def representable(x):
    return x.to(torch.bfloat16).to(torch.float32)


def x(*shape, scale=1.0):
    return representable(torch.randn(shape, generator=generator) * scale)


def u(*shape, low=0.05, high=0.95):
    return representable(torch.rand(shape, generator=generator) * (high - low) + low)


def grid(*shape):
    """Multiples of 1/4, so that maxima tie."""
    return torch.randint(-8, 9, shape, generator=generator) / 4


def classes(n, *shape):
    return torch.randint(0, n, shape, generator=generator)


class Fixed:
    """A float input that is not differentiated."""

    def __init__(self, tensor):
        self.tensor = tensor


def key(t):
    name = f"t{len(tensors)}"
    tensors[name] = t
    return name


def golden(name, f, *args, **kwargs):
    leaves = []

    def encode(v):
        if isinstance(v, Fixed):
            return {"tensor": key(v.tensor.to(torch.bfloat16))}
        if isinstance(v, torch.Tensor):
            entry = {"tensor": key(v.to(torch.bfloat16) if v.is_floating_point() else v)}
            if v.is_floating_point():
                entry["grad"] = True
                leaves.append(v)
            return entry
        return [encode(e) for e in v] if isinstance(v, (list, tuple)) else v

    call = {"input": encode(args[0]), "args": [encode(a) for a in args[1:]], "kwargs": {k: encode(v) for k, v in kwargs.items()}}
    count, outs, cotangents, grads = None, [], [], []
    for prefix, dtype in DTYPES.items():
        mine = {}

        def convert(v):
            if isinstance(v, Fixed):
                return v.tensor.to(dtype)
            if isinstance(v, torch.Tensor):
                if id(v) not in mine:
                    mine[id(v)] = v.to(dtype).requires_grad_() if v.is_floating_point() else v
                return mine[id(v)]
            return [convert(e) for e in v] if isinstance(v, (list, tuple)) else v

        result = f(*[convert(a) for a in args], **{k: convert(v) for k, v in kwargs.items()})
        result = [result] if isinstance(result, torch.Tensor) else list(result)
        floats = [o for o in result if o.is_floating_point()]
        if count is None:
            count = True
            outs = [f"o{len(tensors)}_{i}" for i in range(len(result))]
            cotangents = [key(x(*o.shape).to(torch.bfloat16)) for o in floats]
            grads = [f"g{len(tensors)}_{i}" for i in range(len(leaves))]
        given = torch.autograd.grad(floats, [mine[id(v)] for v in leaves], [tensors[c].to(dtype) for c in cotangents], allow_unused=True)
        for k, o in zip(outs, result):
            tensors[f"{prefix}/{k}"] = o.detach()
        for i, g in enumerate(given):
            if g is None:
                grads[i] = None
            elif grads[i]:
                tensors[f"{prefix}/{grads[i]}"] = g
    call["out"] = [{"tensor": k} for k in outs]
    call["cotangents"] = [{"tensor": k} for k in cotangents]
    call["grads"] = [k and {"tensor": k} for k in grads]
    operators.setdefault(name, []).append(call)


golden("matmul", torch.matmul, x(5, 7), x(7, 3))
golden("matmul", torch.matmul, x(2, 1, 4, 6), x(3, 6, 5))
golden("matmul", torch.matmul, x(2, 3, 4), x(4))
golden("bmm", torch.bmm, x(2, 3, 9), x(2, 9, 4))
golden("nn.functional.linear", F.linear, x(2, 5, 8), x(6, 8), x(6))
golden("addmm", torch.addmm, x(4), x(3, 5), x(5, 4), beta=0.5, alpha=2.0)
golden("tensordot", torch.tensordot, x(2, 3, 4), x(4, 3, 5), dims=[[1, 2], [1, 0]])
for equation, *shapes in (
    ("bij,bjk->bik", (2, 3, 4), (2, 4, 5)),
    ("ii->i", (4, 4)),
    ("...ab,cb->...ac", (2, 3, 4), (5, 4)),
    ("i,ij,j", (3,), (3, 4), (4,)),
    ("bhqd,bhkd->bhqk", (1, 2, 3, 4), (1, 2, 5, 4)),
):
    operands = [x(*s) for s in shapes]
    golden("einsum", lambda xs, e: torch.einsum(e, *xs), operands, equation)

for name in "relu relu6 elu selu celu gelu silu mish softplus softsign hardtanh hardsigmoid hardswish logsigmoid tanhshrink softshrink hardshrink leaky_relu".split():
    golden(f"nn.functional.{name}", getattr(F, name), x(6, 11, scale=2.0))
golden("nn.functional.gelu", F.gelu, x(6, 11, scale=2.0), approximate="tanh")
golden("sigmoid", torch.sigmoid, x(6, 11, scale=2.0))
golden("nn.functional.glu", F.glu, x(3, 8), -1)
golden("nn.functional.prelu", F.prelu, x(2, 3, 5), weight=u(3))
golden("softmax", torch.softmax, x(4, 33, scale=3.0), 1)
golden("softmax", torch.softmax, x(2, 5, 3), 1)
golden("log_softmax", torch.log_softmax, x(4, 33, scale=3.0), -1)

golden("nn.functional.layer_norm", F.layer_norm, x(4, 33), [33], x(33), x(33), eps=1e-5)
golden("nn.functional.rms_norm", F.rms_norm, x(4, 33), [33], x(33), eps=1e-5)
golden("nn.functional.group_norm", F.group_norm, x(2, 6, 5), 3, x(6), x(6))
golden("nn.functional.instance_norm", F.instance_norm, x(2, 3, 9))
golden("nn.functional.batch_norm", F.batch_norm, x(4, 3, 5), None, None, x(3), x(3), training=True)
golden("nn.functional.batch_norm", F.batch_norm, x(4, 3, 5), Fixed(x(3)), Fixed(u(3)), x(3), x(3), training=False)
golden("nn.functional.normalize", F.normalize, x(3, 7), dim=1)
golden("nn.functional.local_response_norm", F.local_response_norm, x(2, 5, 4), 3, alpha=0.5)

q = lambda *s: x(*s)
golden("nn.functional.scaled_dot_product_attention", F.scaled_dot_product_attention, q(2, 2, 7, 8), q(2, 2, 7, 8), q(2, 2, 7, 8), is_causal=True)
golden("nn.functional.scaled_dot_product_attention", F.scaled_dot_product_attention, q(2, 2, 5, 8), q(2, 2, 9, 8), q(2, 2, 9, 6), attn_mask=x(5, 9))
golden("nn.functional.scaled_dot_product_attention", F.scaled_dot_product_attention, q(1, 4, 5, 8), q(1, 2, 5, 8), q(1, 2, 5, 8), enable_gqa=True)
seen = torch.rand(4, 6, generator=generator) < 0.5
seen[1] = False
golden("nn.functional.scaled_dot_product_attention", F.scaled_dot_product_attention, q(2, 4, 8), q(2, 6, 8), q(2, 6, 8), attn_mask=seen)

golden("nn.functional.conv1d", F.conv1d, x(2, 3, 10), x(4, 3, 3), x(4), stride=2, padding=1)
golden("nn.functional.conv2d", F.conv2d, x(2, 4, 7, 6), x(6, 2, 3, 2), x(6), padding=[1, 0], dilation=[1, 2], groups=2)
golden("nn.functional.conv2d", F.conv2d, x(1, 3, 6, 6), x(3, 1, 3, 3), padding="same", groups=3)
golden("nn.functional.conv3d", F.conv3d, x(1, 2, 4, 5, 4), x(3, 2, 2, 3, 2), x(3), stride=[1, 2, 1])
golden("nn.functional.conv_transpose2d", F.conv_transpose2d, x(2, 4, 4, 3), x(4, 3, 3, 2), x(6), stride=2, padding=1, output_padding=[1, 0], groups=2)
golden("nn.functional.max_pool2d", F.max_pool2d, grid(2, 2, 7, 6), [3, 2], stride=2, padding=1)
golden("nn.functional.max_pool2d", F.max_pool2d, grid(1, 2, 6, 6), 3, stride=2, ceil_mode=True)
golden("nn.functional.avg_pool2d", F.avg_pool2d, x(2, 2, 7, 6), [3, 2], stride=2, padding=1, count_include_pad=False)
golden("nn.functional.avg_pool1d", F.avg_pool1d, x(2, 3, 8), 3, stride=2, ceil_mode=True)
golden("nn.functional.adaptive_avg_pool2d", F.adaptive_avg_pool2d, x(1, 2, 7, 6), [3, 2])
golden("nn.functional.interpolate.nearest", F.interpolate, x(1, 2, 3, 4), [6, 8], mode="nearest")
golden("nn.functional.interpolate.bilinear", F.interpolate, x(1, 2, 3, 4), [5, 7], mode="bilinear", align_corners=False)
golden("nn.functional.pixel_shuffle", F.pixel_shuffle, x(1, 8, 2, 3), 2)
golden("nn.functional.unfold", F.unfold, x(1, 2, 5, 4), [2, 3], padding=1, stride=2)

for reduction in ("mean", "sum", "none"):
    golden("nn.functional.mse_loss", F.mse_loss, x(4, 5), x(4, 5), reduction=reduction)
    golden("nn.functional.cross_entropy", F.cross_entropy, x(5, 9), classes(9, 5), reduction=reduction)
golden("nn.functional.l1_loss", F.l1_loss, x(4, 5), x(4, 5))
golden("nn.functional.smooth_l1_loss", F.smooth_l1_loss, x(4, 5, scale=2.0), x(4, 5), beta=0.5)
golden("nn.functional.huber_loss", F.huber_loss, x(4, 5, scale=2.0), x(4, 5), delta=0.5)
golden("nn.functional.binary_cross_entropy", F.binary_cross_entropy, u(4, 5), u(4, 5))
golden("nn.functional.binary_cross_entropy_with_logits", F.binary_cross_entropy_with_logits, x(4, 5, scale=3.0), u(4, 5), pos_weight=Fixed(u(5)))
ignored = classes(6, 3, 4)
ignored[0, 1] = -100
golden("nn.functional.cross_entropy", F.cross_entropy, x(3, 6, 4), ignored, label_smoothing=0.1)
golden("nn.functional.cross_entropy", F.cross_entropy, x(5, 6), classes(6, 5), weight=Fixed(torch.tensor([1, 0.5, 2, 1, 0.25, 1])))
golden("nn.functional.cross_entropy", F.cross_entropy, x(5, 6), representable(torch.softmax(x(5, 6), 1)))
golden("nn.functional.nll_loss", F.nll_loss, representable(torch.log_softmax(x(5, 6), 1)), classes(6, 5))
golden("nn.functional.kl_div", F.kl_div, x(3, 6), u(3, 6), reduction="batchmean")
golden("nn.functional.cosine_embedding_loss", F.cosine_embedding_loss, x(4, 6), x(4, 6), torch.tensor([1, -1, 1, -1]))
golden("nn.functional.cosine_similarity", F.cosine_similarity, x(4, 6), x(4, 6), dim=1)
golden("nn.functional.triplet_margin_loss", F.triplet_margin_loss, x(4, 6), x(4, 6), x(4, 6))
golden("nn.functional.margin_ranking_loss", F.margin_ranking_loss, x(6), x(6), torch.tensor([1, -1, 1, -1, 1, 1]), margin=0.25)
golden("nn.functional.hinge_embedding_loss", F.hinge_embedding_loss, x(6), torch.tensor([1, -1, 1, -1, 1, 1]))
golden("nn.functional.multi_margin_loss", lambda a, t: F.multi_margin_loss(a if a.dtype == torch.float64 else a.float(), t).to(a.dtype), x(4, 6), classes(6, 4))
golden("nn.functional.poisson_nll_loss", F.poisson_nll_loss, x(4, 5), u(4, 5))
golden("sort", torch.sort, grid(3, 20), dim=1, stable=True)
golden("sort", torch.sort, grid(5, 3), dim=0, descending=True, stable=True)
golden("topk", torch.topk, x(3, 40), 5)
golden("kthvalue", torch.kthvalue, x(3, 9), 4)
golden("median", torch.median, x(3, 8), dim=1)
golden("quantile", lambda a, *r, **k: torch.quantile(a.double(), *r, **k).to(a.dtype), x(3, 8), 0.3, dim=1)

folder = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__), "../../test/golden")
with open(os.path.join(folder, "nn.json"), "w") as f:
    lines = ",\n".join(f'{json.dumps(k)}: {json.dumps(v, separators=(",", ":"))}' for k, v in operators.items())
    f.write("{\n" + lines + "\n}\n")
save_file({k: v.contiguous() for k, v in tensors.items()}, os.path.join(folder, "nn.safetensors"))
print(sum(map(len, operators.values())), "calls")
