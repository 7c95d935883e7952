"""PyTorch's side of `--suite cpu`, and of the models of `--suite gpu`: one process for the whole suite. Requests, a JSON line each:
{"open": KIND, "spec": ..., "inputs": [{"file", "shape", "dtype"}], "variants": [...]}, {"values": VARIANT, "file": F}, {"time": VARIANT, "calls": N}, {"close": 1}."""
import gc
import json
import sys
import time
import traceback

try:
    import numpy
    import torch
except ImportError:
    print(json.dumps({"missing": "PyTorch (set TREEPIE_PYTHON to a Python that has torch and numpy)"}), flush=True)
    sys.exit(0)

# What libraries print must not get between the answers.
answers, sys.stdout = sys.stdout, sys.stderr
options = json.loads(sys.argv[1])
torch.set_num_threads(options["threads"])
device = options.get("device", "cpu")
if device != "cpu":
    if not torch.cuda.is_available():
        print(json.dumps({"missing": "PyTorch with CUDA (set TREEPIE_PYTHON to a Python that has it)"}), file=answers, flush=True)
        sys.exit(0)
    # As PyTorch has it, unless a job says otherwise.
    torch.set_float32_matmul_precision("highest")

from cpu_jobs import jobs  # noqa: E402
from cpu_models import use  # noqa: E402

use(device)

dtypes = {"f32": torch.float32, "bf16": torch.bfloat16, "i64": torch.int64}


def load(x):
    return torch.from_numpy(numpy.fromfile(x["file"], dtype=numpy.float32).reshape(x["shape"])).to(device, dtypes[x["dtype"]])


def say(x):
    print(json.dumps(x), file=answers, flush=True)


def answer(request, state):
    if "open" in request:
        state.clear()
        gc.collect()
        torch._dynamo.reset()
        if device != "cpu":
            torch.cuda.empty_cache()
        make = jobs[request["open"]](request["spec"], [load(x) for x in request["inputs"]])
        failed = {}
        for variant in request["variants"]:
            try:
                state[variant] = make(variant)
            except Exception as e:
                failed[variant] = f"{type(e).__name__}: {str(e).splitlines()[0][:200] if str(e) else ''}"
                traceback.print_exc()
        return {"variants": list(state), "failed": failed}
    if "values" in request:
        values = torch.cat([x.detach().to(torch.float32).flatten() for x in state[request["values"]].values()])
        values.cpu().numpy().tofile(request["file"])
        return {"count": values.numel()}
    if "time" in request:
        run, calls = state[request["time"]].run, request["calls"]
        start = time.perf_counter()
        run(calls)
        if device != "cpu":
            torch.cuda.synchronize()
        return {"seconds": (time.perf_counter() - start) / calls}
    if "close" in request:
        state.clear()
        gc.collect()
        torch._dynamo.reset()
        if device != "cpu":
            torch.cuda.empty_cache()
        return {}
    return {"error": f"unknown request {request}"}


say({"ready": f"PyTorch {torch.__version__}"})
state = {}
for line in sys.stdin:
    try:
        say(answer(json.loads(line), state))
    except Exception as e:
        traceback.print_exc()
        say({"error": f"PyTorch: {type(e).__name__}: {str(e)[:400]}"})
