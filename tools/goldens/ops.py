"""What PyTorch gives for one call of each function of the ops layer, values and gradients, at the places where conventions differ:
ties, kinks, empty axes, NaN, infinities, integer division, negative indices, broadcasting, promotion.

    python tools/goldens/ops.py > test/golden/ops.json
"""
import json
import math
import sys
import warnings

import torch
import torch.nn.functional as F

warnings.simplefilter("ignore")
names = {
    "bool": torch.bool, "u8": torch.uint8, "i8": torch.int8, "i16": torch.int16, "i32": torch.int32, "i64": torch.int64,
    "f16": torch.float16, "bf16": torch.bfloat16, "f32": torch.float32, "f64": torch.float64,
}
back = {v: k for k, v in names.items()}
inf, nan = math.inf, math.nan


def text(v):
    if isinstance(v, bool):
        return int(v)
    if isinstance(v, int):
        return v if abs(v) < 2**53 else str(v)
    if v != v:
        return "nan"
    if math.isinf(v):
        return "inf" if v > 0 else "-inf"
    return "-0" if v == 0 and math.copysign(1, v) < 0 else v


def write(t):
    t = t.detach()
    return {"dtype": back[t.dtype], "shape": list(t.shape), "data": [text(v) for v in t.flatten().tolist()]}


cases = []


def case(call, *inputs, by, grad=False):
    """`call` is the text of the call on inputs a, b, c, d; `by` is PyTorch's."""
    inputs = [t.clone().requires_grad_(grad and t.is_floating_point()) for t in inputs]
    one = {"call": call, "inputs": [write(t) for t in inputs]}
    try:
        y = by(*inputs)
    except Exception:
        cases.append({**one, "throws": True})
        return
    ys = [y] if isinstance(y, torch.Tensor) else list(y)
    one["outputs"] = [write(v) for v in ys]
    if grad:
        out = next(v for v in ys if v.is_floating_point())
        ct = (torch.arange(out.numel(), dtype=out.dtype) % 5 - 1.5).reshape(out.shape)
        wanted = [t for t in inputs if t.requires_grad]
        got = torch.autograd.grad(out, wanted, ct, allow_unused=True)
        one["cotangent"] = write(ct)
        one["gradients"] = [None if g is None else write(g) for g in got]
    cases.append(one)


def long(*v):
    return torch.tensor(v)


x = torch.arange(24.0).reshape(2, 3, 4)
m = torch.arange(12.0).reshape(3, 4)
v = torch.arange(5.0)
y = torch.tensor([[1.0, 3.0, 3.0, 2.0], [nan, 1.0, nan, 5.0], [-0.0, 0.0, -1.0, 0.0]])
pairs = torch.tensor([[0, 2], [1, 1]])
ties = torch.tensor([[1.0, 3.0, 3.0, 2.0], [0.0, 0.0, 0.0, 0.0], [-1.0, 2.0, 0.0, 2.0]])

# Numbers at the edges.
edges = [0.0, -0.0, 1.0, -1.0, 0.5, 2.5, -3.7, inf, -inf, nan]
whole = [0, 1, -1, 2, -2, 3, 7, -100]
unary = {
    "neg": torch.neg, "abs": torch.abs, "sign": torch.sign, "sqrt": torch.sqrt, "rsqrt": torch.rsqrt, "exp": torch.exp, "expm1": torch.expm1,
    "log": torch.log, "log2": torch.log2, "log10": torch.log10, "log1p": torch.log1p, "sin": torch.sin, "tan": torch.tan, "asin": torch.asin,
    "atan": torch.atan, "sinh": torch.sinh, "tanh": torch.tanh, "acosh": torch.acosh, "atanh": torch.atanh, "erf": torch.erf, "erfc": torch.erfc,
    "erfinv": torch.erfinv, "lgamma": torch.lgamma, "floor": torch.floor, "ceil": torch.ceil, "trunc": torch.trunc, "round": torch.round,
    "reciprocal": torch.reciprocal, "square": torch.square, "isNaN": torch.isnan, "isInf": torch.isinf, "isFinite": torch.isfinite,
    "logicalNot": torch.logical_not, "bitwiseNot": torch.bitwise_not, "nanToNum": torch.nan_to_num, "sum": torch.sum, "prod": torch.prod,
    "amax": torch.amax, "any": torch.any, "all": torch.all, "argmin": torch.argmin, "countNonzero": torch.count_nonzero,
}
for name, f in unary.items():
    for d, values in (("f32", edges), ("i64", whole), ("u8", [abs(w) for w in whole]), ("bool", [True, False, True])):
        if d == "bool" and name in ("floor", "ceil", "trunc", "round", "argmin"):
            continue
        case(f"{name}(a)", torch.tensor(values, dtype=names[d]), by=f)
binary = {
    "add": torch.add, "sub": torch.sub, "mul": torch.mul, "div": torch.div, "floorDivide": torch.floor_divide, "remainder": torch.remainder,
    "fmod": torch.fmod, "pow": torch.pow, "atan2": torch.atan2, "logaddexp": torch.logaddexp, "hypot": torch.hypot, "xlogy": torch.xlogy,
    "lt": torch.lt, "le": torch.le, "eq": torch.eq, "ne": torch.ne, "gt": torch.gt, "ge": torch.ge, "logicalAnd": torch.logical_and,
    "logicalXor": torch.logical_xor, "bitwiseAnd": torch.bitwise_and, "bitwiseOr": torch.bitwise_or, "bitwiseXor": torch.bitwise_xor,
    "bitwiseLeftShift": torch.bitwise_left_shift, "bitwiseRightShift": torch.bitwise_right_shift, "isClose": torch.isclose,
}
divides = ("div", "floorDivide", "remainder", "fmod")
for name, f in binary.items():
    for d, e in (("f32", "f32"), ("i64", "i64"), ("u8", "u8"), ("i32", "f32"), ("i8", "i16"), ("u8", "i8"), ("f16", "bf16")):
        if name in ("logaddexp", "hypot") and d[0] != "f" or name == "isClose" and d != e:
            continue
        values = [edges if t[0] in "fb" else [abs(w) for w in whole] if t[0] == "u" else whole for t in (d, e)]
        if e[0] in "iu" and name in divides:
            values[1] = [w for w in values[1] if w]
        if e[0] in "iu" and name == "pow":
            values[1] = [w for w in values[1] if w >= 0]
        case(f"{name}(a,b)", torch.tensor(values[0], dtype=names[d]).reshape(-1, 1), torch.tensor(values[1], dtype=names[e]), by=f)
# Axes of size 0.
for shape in ((2, 0), (0, 3), (2, 3)):
    z = torch.arange(float(shape[0] * shape[1])).reshape(shape) - 2
    for name, f in {
        "sum": torch.sum, "prod": torch.prod, "mean": torch.mean, "any": torch.any, "all": torch.all, "amax": torch.amax, "argmax": torch.argmax,
        "variance": torch.var, "logsumexp": torch.logsumexp, "cumsum": torch.cumsum, "cumprod": torch.cumprod, "softmax": torch.softmax,
    }.items():
        for dim in (0, 1):
            case(f"{name}(a,{dim})", z, by=lambda a: f(a, dim))
# Shapes.
case("pad(a,[1,2])", m, by=lambda a: F.pad(a, (1, 2)), grad=True)
case("pad(a,[-1,1,2,0],{value:7})", m, by=lambda a: F.pad(a, (-1, 1, 2, 0), value=7), grad=True)
for mode in ("reflect", "replicate", "circular"):
    case(f'pad(a,[2,1,1,2],{{mode:"{mode}"}})', x, by=lambda a: F.pad(a[None], (2, 1, 1, 2), mode=mode)[0], grad=True)
case("roll(a,1)", m, by=lambda a: torch.roll(a, 1))
case("roll(a,[1,-2],[0,1])", m, by=lambda a: torch.roll(a, (1, -2), (0, 1)), grad=True)
case("repeat(a,[2,1,3])", m, by=lambda a: a.repeat(2, 1, 3), grad=True)
case("tile(a,[2])", m, by=lambda a: a.tile((2,)))
case("repeatInterleave(a,2,1)", m, by=lambda a: a.repeat_interleave(2, 1), grad=True)
case("repeatInterleave(a,2)", m, by=lambda a: a.repeat_interleave(2))
case("unfold(a,1,2,1)", x, by=lambda a: a.unfold(1, 2, 1), grad=True)
case("movedim(a,[0,2],[-1,0])", x, by=lambda a: a.movedim((0, 2), (-1, 0)))
for k in (-2, -1, 0, 1, 2):
    case(f"tril(a,{k})", m, by=lambda a: a.tril(k), grad=True)
    case(f"triu(a,{k})", x, by=lambda a: a.triu(k))
    case(f"diagonal(a,{k})", m, by=lambda a: a.diagonal(k), grad=True)
    case(f"diagonal(a,{k},2,0)", x, by=lambda a: a.diagonal(k, 2, 0))
    case(f"diagEmbed(a,{k},0,2)", m, by=lambda a: torch.diag_embed(a, k, 0, 2), grad=True)
    case(f"diag(a,{k})", v, by=lambda a: torch.diag(a, k))
case("diagonal(a,9)", m, by=lambda a: a.diagonal(9))
case('meshgrid([a,b],{indexing:"xy"})', v, v[:3], by=lambda a, b: torch.meshgrid(a, b, indexing="xy"))
case("split(a,2,2)", x, by=lambda a: a.split(2, 2))
case("split(a,[1,3],-1)", x, by=lambda a: a.split([1, 3], -1))
case("chunk(a,3,2)", x, by=lambda a: a.chunk(3, 2))
case("flip(a,[0,2])", x, by=lambda a: a.flip(0, 2), grad=True)
case("stack([a,a],-1)", m, by=lambda a: torch.stack([a, a], -1), grad=True)
case("cat([a,b],-1)", m, m.double(), by=lambda a, b: torch.cat([a, b], -1), grad=True)
case("unflatten(a,1,[-1,2])", m, by=lambda a: a.unflatten(1, (-1, 2)))
case("squeeze(a,[0,1])", torch.ones(1, 2, 1), by=lambda a: a.squeeze((0, 1)))
case("flatten(a,1,2)", x, by=lambda a: a.flatten(1, 2))
case("trace(a)", m, by=torch.trace, grad=True)
# Indices.
ix = long(2, 0, 2)
case("gather(a,1,b)", m, pairs, by=lambda a, b: a.gather(1, b), grad=True)
case("gather(a,0,b)", m, pairs, by=lambda a, b: a.gather(0, b), grad=True)
case("scatter(a,1,b,c)", m, long(*[[0, 2], [1, 3]]), -m, by=lambda a, b, c: a.scatter(1, b, c))
case("scatter(a,0,b,5)", m, pairs, by=lambda a, b: a.scatter(0, b, 5.0), grad=True)
case("scatterAdd(a,1,b,c)", m, pairs, m[:2, :2], by=lambda a, b, c: a.scatter_add(1, b, c), grad=True)
for r in ("sum", "prod", "mean", "amax", "amin"):
    for own in (True, False):
        call = f'scatterReduce(a,1,b,c,"{r}",{{includeSelf:{str(own).lower()}}})'
        case(call, m + 1.5, pairs, m[:2, :2] * 2 + 1, by=lambda a, b, c: a.scatter_reduce(1, b, c, r, include_self=own), grad=True)
        case(call, m.long(), pairs, m.long() * 2, by=lambda a, b, c: a.scatter_reduce(1, b, c, r, include_self=own))
case("indexSelect(a,1,b)", x, ix, by=lambda a, b: a.index_select(1, b), grad=True)
case("indexAdd(a,1,b,c,{alpha:2})", x, ix, x, by=lambda a, b, c: a.index_add(1, b, c, alpha=2), grad=True)
case("indexCopy(a,0,b,c)", m, long(2, 0), -m[:2], by=lambda a, b, c: a.index_copy(0, b, c), grad=True)
case("indexFill(a,1,b,9)", m, ix, by=lambda a, b: a.index_fill(1, b, 9), grad=True)
case("take(a,b)", m, long(-1, 3, -12), by=lambda a, b: a.take(b), grad=True)
case("takeAlongDim(a,b,1)", m, torch.tensor([[1], [0], [3]]), by=lambda a, b: a.take_along_dim(b, 1))
case("index(a,[b])", x, long(1, -1), by=lambda a, b: a[b], grad=True)
case("index(a,[null,b])", x, ix, by=lambda a, b: a[:, b])
case("index(a,[b,null,c])", x, long(0, 1), long(3, -1), by=lambda a, b, c: a[b, :, c], grad=True)
case("index(a,[null,b,c])", x, torch.tensor([[0], [1]]), long(3, -1), by=lambda a, b, c: a[:, b, c], grad=True)
case("indexPut(a,[b],-1)", m, long(0, 2), by=lambda a, b: a.index_put((b,), torch.tensor(-1.0)), grad=True)
case("indexPut(a,[b,c],d,{accumulate:true})", m, long(0, 2, 0), long(1, 1, 1), torch.tensor([10.0, 20.0, 30.0]),
     by=lambda a, b, c, d: a.index_put((b, c), d, accumulate=True), grad=True)
case("oneHot(a,4)", long(0, 3, 1), by=lambda a: F.one_hot(a, 4))
case("embedding(a,b,{paddingIdx:1})", long(0, 1, 1, 2), m, by=lambda a, b: F.embedding(a, b, padding_idx=1), grad=True)
line = torch.tensor([1.0, 2.0, 2.0, 5.0])
case("searchsorted(a,b)", line, torch.tensor([0.0, 2.0, 3.0, 9.0]), by=torch.searchsorted)
case("searchsorted(a,b,{right:true})", line, torch.tensor([0.0, 2.0, 3.0, 9.0]), by=lambda a, b: torch.searchsorted(a, b, right=True))
case("bucketize(a,b)", torch.tensor([[2.0, 4.0], [0.0, 1.0]]), torch.tensor([1.0, 2.0, 5.0]), by=torch.bucketize)
# Extremes, scans and statistics: NaN, ties, zeros.
for f in ("argmax", "argmin", "amax", "amin"):
    for dim in (0, 1):
        case(f"{f}(a,{dim})", y, by=lambda a: getattr(a, f)(dim))
for f in ("max", "min", "cummax", "cummin"):
    for dim in (0, 1):
        case(f"Object.values({f}(a,{dim}))", y, by=lambda a: getattr(a, f)(dim))
        case(f"Object.values({f}(a,{dim}))", ties, by=lambda a: getattr(a, f)(dim), grad=True)
case("amax(a,1)", ties, by=lambda a: a.amax(1), grad=True)
case("amin(a)", ties, by=lambda a: a.amin(), grad=True)
case("max(a)", ties, by=lambda a: a.max(), grad=True)
for f in ("cumsum", "cumprod", "logcumsumexp", "prod", "sum", "mean"):
    case(f"{f}(a,1)", ties, by=lambda a: getattr(a, f)(1), grad=True)
    case(f"{f}(a,0)", m - 3, by=lambda a: getattr(a, f)(0), grad=True)
case("logcumsumexp(a,1)", y, by=lambda a: a.logcumsumexp(1))
for p in (0, 1, 2, 3, inf, -inf, 0.5):
    js = {inf: "Infinity", -inf: "-Infinity"}.get(p, p)
    case(f"norm(a,{js},1)", m - 3, by=lambda a: torch.linalg.vector_norm(a, p, 1), grad=p not in (0, 0.5))
case("norm(a,2,1)", ties, by=lambda a: torch.linalg.vector_norm(a, 2, 1), grad=True)
case("norm(a,3,1)", ties, by=lambda a: torch.linalg.vector_norm(a, 3, 1), grad=True)
case("norm(a,Infinity,1)", ties, by=lambda a: torch.linalg.vector_norm(a, inf, 1), grad=True)
case("variance(a,1,{correction:0,keepdim:true})", m, by=lambda a: a.var(1, correction=0, keepdim=True), grad=True)
case("variance(a,1)", torch.ones(2, 1), by=lambda a: a.var(1))
case("std(a,1)", ties, by=lambda a: a.std(1), grad=True)
case("logsumexp(a,[0,1])", m, by=lambda a: a.logsumexp((0, 1)), grad=True)
case("logsumexp(a,1)", torch.tensor([[-inf] * 2, [inf, 1.0], [nan, 1.0]]), by=lambda a: a.logsumexp(1))
case("logsumexp(a,1)", torch.tensor([[-inf, 1.0], [0.0, 0.0]]), by=lambda a: a.logsumexp(1), grad=True)
# Kinks.
for low, high in ((1, 3), (None, 2), (3, None), (4, 2)):
    js = ["null" if b is None else b for b in (low, high)]
    case(f"clamp(a,{js[0]},{js[1]})", y, by=lambda a: a.clamp(low, high))
    case(f"clamp(a,{js[0]},{js[1]})", ties, by=lambda a: a.clamp(low, high), grad=True)
case("clamp(a,b,c)", ties, ties - 1, torch.full((3, 4), 2.0), by=lambda a, b, c: a.clamp(b, c), grad=True)
for name in ("maximum", "minimum", "fmax", "fmin", "atan2", "hypot", "copysign", "logaddexp", "xlogy", "pow"):
    case(f"{name}(a,b)", ties.abs(), torch.tensor([1.0, 2.0, 3.0, 0.0]), by=lambda a, b: getattr(torch, name)(a, b), grad=True)
for name in ("abs", "sign", "relu", "sqrt", "frac", "sinc", "nan_to_num", "erfinv"):
    js = {"nan_to_num": "nanToNum"}.get(name, name)
    case(f"{js}(a)", ties / 4, by=lambda a: getattr(torch, name)(a), grad=True)
for e in (0, 1, 2, 3, 0.5, -1, -2, 2.5):
    case(f"pow(a,{e})", ties.abs() + (1 if e < 1 else 0), by=lambda a: a**e, grad=e != 0)
case("pow(2,a)", m, by=lambda a: 2**a, grad=True)
case("lerp(a,b,0.3)", m, -m, by=lambda a, b: a.lerp(b, 0.3), grad=True)
case("addcmul(a,b,c,{value:0.5})", m, m, m, by=lambda a, b, c: a.addcmul(b, c, value=0.5), grad=True)
case("addcdiv(a,b,c,{value:0.5})", m, m, m + 1, by=lambda a, b, c: a.addcdiv(b, c, value=0.5), grad=True)
case("round(a,{decimals:1})", m / 7, by=lambda a: a.round(decimals=1))
case("where(gt(a,0),log(a),0)", ties, by=lambda a: torch.where(a > 0, a.log(), torch.tensor(0.0)))
case("maskedFill(a,gt(a,2),-1)", m, by=lambda a: a.masked_fill(a > 2, -1), grad=True)

whole = lambda *shape, by=37: ((torch.arange(math.prod(shape)) * by) % 256 - 128).to(torch.int8).reshape(shape)
case("intMm(a,b)", whole(5, 24), whole(24, 7, by=53), by=torch._int_mm)
case("intMm(a,permute(b,[1,0]))", torch.full((3, 40), -128, dtype=torch.int8), torch.full((9, 40), -128, dtype=torch.int8), by=lambda a, b: torch._int_mm(a, b.T))
case("intMm(a,b)", m, m.T, by=torch._int_mm)
case("intMm(a,b)", whole(2, 3), whole(2, 3), by=torch._int_mm)

promote = {f"{a} {b}": back[torch.promote_types(s, t)] for a, s in names.items() for b, t in names.items()}
result = {}
for a, s in names.items():
    for b, t in names.items():
        result[f"{a}[2] {b}[]"] = back[torch.result_type(torch.zeros(2, dtype=s), torch.zeros((), dtype=t))]
    for b, value in (("1", 1), ("1.5", 1.5), ("true", True)):
        result[f"{a}[2] {b}"] = back[torch.result_type(torch.zeros(2, dtype=s), value)]
        result[f"{a}[] {b}"] = back[torch.result_type(torch.zeros((), dtype=s), value)]

lines = ",\n    ".join(json.dumps(c, separators=(",", ":")) for c in cases)
sys.stdout.write(f'{{\n  "torch": {json.dumps(torch.__version__)},\n  "cases": [\n    {lines}\n  ],\n')
sys.stdout.write(f'  "promote": {json.dumps(promote)},\n  "result": {json.dumps(result)}\n}}\n')
