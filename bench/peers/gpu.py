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


def attention(r):
    """Layers of attention as one CUDA graph, by each of PyTorch's kernels."""
    from torch.nn.attention import SDPBackend, sdpa_kernel

    kinds = {"flash": SDPBackend.FLASH_ATTENTION, "cudnn": SDPBackend.CUDNN_ATTENTION}
    groups = r["heads"] != r["keyHeads"]

    def make(heads):
        return torch.rand(r["batch"], heads, r["time"], r["depth"], device="cuda").mul_(4).sub_(2).to(dtypes[r["dtype"]])

    def variant(kind):
        leaves = [make(r["heads"]), *(make(r["keyHeads"]) for _ in range(2 * r["layers"]))]
        ct = make(r["heads"])
        for x in leaves:
            x.requires_grad_(r["backward"])

        def work():
            y = leaves[0]
            with sdpa_kernel(kind):
                for i in range(r["layers"]):
                    y = F.scaled_dot_product_attention(y, leaves[1 + 2 * i], leaves[2 + 2 * i], is_causal=r["causal"], enable_gqa=groups)
                return torch.autograd.grad(y, leaves, ct) if r["backward"] else y

        side = torch.cuda.Stream()
        with torch.cuda.stream(side):
            for _ in range(3):
                work()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            kept = work()
        return graph.replay, kept

    return {name: lambda kind=kind: variant(kind) for name, kind in kinds.items()}


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
    if request["kind"] == "attention":
        for name, make in attention(request).items():
            try:
                f, args = make()
                found[name] = seconds(f, [], 3 if request["time"] > 8192 else 20)
            except Exception as error:  # a peer that fails is reported
                failed[name] = str(error).splitlines()[0][:200]
            f = args = None
            torch.cuda.empty_cache()
        print(json.dumps({"seconds": found, "failed": failed}), flush=True)
        continue
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
