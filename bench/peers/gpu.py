"""PyTorch's side of suite gpu: one request is one job, answered with the seconds of a call, eager and compiled."""
import json
import os
import sys

try:
    import torch
    import torch.nn.functional as F
    if not torch.cuda.is_available():
        raise ImportError
except ImportError:
    print(json.dumps({"missing": "PyTorch with CUDA (set TREEPIE_PYTHON to a Python that has it)"}), flush=True)
    sys.exit(0)

torch.backends.cuda.matmul.allow_tf32 = False
dtypes = {"f32": torch.float32, "bf16": torch.bfloat16}


def chain8(x):
    return (((x * 1.25 + 0.75).relu() - 0.375) * 0.8).abs().add(x).mul(0.6).clamp(max=3.5)


def job(r):
    """The function of a job, its arguments, and calls to time at once."""
    kind, dtype = r["kind"], dtypes[r["dtype"]]
    make = lambda *shape: torch.rand(shape, device="cuda", dtype=torch.float32).mul_(4).sub_(2).to(dtype)
    if kind.startswith("matmul"):
        # The bare product is the peer also where ours has an epilogue.
        return (lambda a, w: a @ w.T), [make(r["n"], r["n"]), make(r["n"], r["n"])], 50
    x, n = make(r["rows"], r["columns"]), r["columns"]
    if kind == "chain8":
        return chain8, [x], 20
    if kind == "softmax":
        return (lambda x: F.softmax(x, -1)), [x], 20
    return (lambda x, w, b: F.layer_norm(x, [n], w, b)), [x, make(n), make(n)], 20


def seconds(f, args, calls):
    for _ in range(3):
        f(*args)
    times = []
    for _ in range(7):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        for _ in range(calls):
            f(*args)
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end) / 1000 / calls)
    return sorted(times)[len(times) // 2]


print(json.dumps({"torch": torch.__version__, "gpu": torch.cuda.get_device_name()}), flush=True)
for line in sys.stdin:
    request = json.loads(line)
    found, failed = {}, {}
    f, args, calls = job(request)
    variants = [("eager", f)]
    if not request["kind"].startswith("matmul") and not os.environ.get("BENCH_NO_COMPILE"):
        variants.append(("compile", torch.compile(f, dynamic=False)))
    for name, g in variants:
        try:
            with torch.no_grad():
                found[name] = seconds(g, args, calls)
        except Exception as error:  # a peer that fails is reported
            failed[name] = str(error).splitlines()[0][:200]
    del f, args, variants
    torch._dynamo.reset()
    torch.cuda.empty_cache()
    print(json.dumps({"seconds": found, "failed": failed}), flush=True)
