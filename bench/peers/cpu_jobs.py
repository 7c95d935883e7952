"""What PyTorch does in each row of `--suite cpu`: a job makes a runner for each variant (eager, compile, freeze)."""
import torch
import torch._dynamo
import torch._inductor.config
import torch.nn.functional as F

from cpu_models import ResNet18, bert_train, gpt2_decode, gpt2_prefill, gpt2_train, llama_decode, llama_prefill

torch._dynamo.config.cache_size_limit = 64


class Runner:
    """`values` gives what is compared, and warms up; `run` does the work some times."""

    def __init__(self, values, run):
        self.values, self.run = values, run


def compiled(f, variant):
    """f as the variant says. `freeze` is torch.compile for inference: weights are constants, and are laid out anew for the library."""
    torch._inductor.config.freezing = variant == "freeze"
    return f if variant == "eager" else torch.compile(f, dynamic=False)


def pure(f, *args):
    """A function without state, under no_grad."""

    def make(variant):
        g = compiled(f, variant)

        def values():
            with torch.no_grad():
                g(*args)
                return [g(*args)]

        def run(calls):
            with torch.no_grad():
                for _ in range(calls):
                    g(*args)

        return Runner(values, run)

    return make


class Weighted(torch.nn.Module):
    def __init__(self, weight):
        super().__init__()
        self.weight = torch.nn.Parameter(weight)

    def forward(self, x):
        return F.linear(x, self.weight)


def matmul(spec, inputs):
    a, b = inputs
    if not spec["packed"]:
        return pure(torch.matmul, a, b)
    return pure(Weighted(b).eval(), a)


def chain8(spec, inputs):
    (x,) = inputs

    def chain(x):
        return (((((x * 1.25 + 0.75).relu() - 0.375) * 0.8).abs() + x) * 0.6).clamp(max=3.5)

    return pure(chain, x)


def layernorm(spec, inputs):
    x, weight, bias = inputs
    return pure(lambda x: F.layer_norm(x, x.shape[-1:], weight, bias), x)


def softmax(spec, inputs):
    return pure(lambda x: F.softmax(x, -1), inputs[0])


def attention(spec, inputs):
    q, k, v = inputs
    causal = spec["causal"]
    return pure(lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=causal), q, k, v)


def attention_train(spec, inputs):
    q, k, v, ct = inputs
    causal = spec["causal"]

    def make(variant):
        leaves = [x.clone().requires_grad_() for x in (q, k, v)]
        f = compiled(lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=causal), variant)

        def once():
            for x in leaves:
                x.grad = None
            y = f(*leaves)
            y.backward(ct)
            return [y, *(x.grad for x in leaves)]

        def run(calls):
            for _ in range(calls):
                once()

        def values():
            once()
            return once()

        return Runner(values, run)

    return make


def mlp_train(spec, inputs):
    x, y, *weights = inputs

    def make(variant):
        params = [torch.nn.Parameter(w.clone()) for w in weights]
        optimizer = torch.optim.SGD(params, lr=spec["lr"])

        def loss_of(x, y, w1, b1, w2, b2, w3, b3):
            h = (x @ w1 + b1).relu()
            h = (h @ w2 + b2).relu()
            return -(F.log_softmax(h @ w3 + b3, -1) * y).sum(-1).mean()

        f = compiled(loss_of, variant)

        def once():
            loss = f(x, y, *params)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            return loss.detach()

        def run(calls):
            for _ in range(calls):
                once()

        return Runner(lambda: [once() for _ in range(3)], run)

    return make


def resnet18(spec, inputs):
    from safetensors.torch import load_file

    state = load_file(spec["folder"] + "/model.safetensors")

    def make(variant):
        model = ResNet18(state).eval().requires_grad_(False)
        (x,) = inputs
        if variant != "eager":
            model, x = model.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
        return pure(model, x)("eager" if variant == "channels-last" else variant)

    return make


jobs = {
    "matmul": matmul,
    "chain8": chain8,
    "layernorm": layernorm,
    "softmax": softmax,
    "attention": attention,
    "attention-train": attention_train,
    "mlp-train": mlp_train,
    "resnet18": resnet18,
    "gpt2-decode": gpt2_decode,
    "gpt2-prefill": gpt2_prefill,
    "gpt2-train": gpt2_train,
    "bert-train": bert_train,
    "llama-decode": llama_decode,
    "llama-prefill": llama_prefill,
}
