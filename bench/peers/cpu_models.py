"""GPT-2, BERT and Llama in plain PyTorch, for the peers of `--suite cpu`. Weights come from the same folder that we load."""
import copy
import json
import os

import torch
import torch._inductor.config
import torch.nn as nn
import torch.nn.functional as F


# Where everything lies. PyTorch's default device would do, but costs every call a look at it.
place = torch.device("cpu")


def use(device):
    global place
    place = torch.device(device)


def checkpoint(folder, dtype):
    from safetensors.torch import load_file

    with open(os.path.join(folder, "config.json")) as f:
        config = json.load(f)
    return config, {k: v.to(place, dtype) for k, v in load_file(os.path.join(folder, "model.safetensors")).items()}


class Weights(nn.Module):
    """Named tensors as parameters: dots become nested names."""

    def __init__(self, tensors):
        super().__init__()
        for key, value in tensors.items():
            self.register_parameter(key.replace(".", "_"), nn.Parameter(value))
        self.names = {key: key.replace(".", "_") for key in tensors}

    def w(self, key):
        return getattr(self, self.names[key])


def attend(q, k, v, cache, position):
    """[1, heads, time, width] against a cache [2, 1, heads, length, width], or causally without one. `position` is a tensor, a number or None."""
    if cache is None:
        return F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=q.shape[1] != k.shape[1])
    groups = q.shape[1] != k.shape[1]
    if position is None:
        cache[0, :, :, : k.shape[2]] = k
        cache[1, :, :, : k.shape[2]] = v
        return F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=groups)
    if isinstance(position, int):
        cache[0, :, :, position] = k[:, :, 0]
        cache[1, :, :, position] = v[:, :, 0]
        return F.scaled_dot_product_attention(q, cache[0, :, :, : position + 1], cache[1, :, :, : position + 1], enable_gqa=groups)
    at = position.reshape(1)
    cache[0].index_copy_(2, at, k)
    cache[1].index_copy_(2, at, v)
    mask = (torch.arange(cache.shape[3], device=cache.device) <= position).reshape(1, 1, 1, -1)
    return F.scaled_dot_product_attention(q, cache[0], cache[1], attn_mask=mask, enable_gqa=groups)


class GPT2(Weights):
    def __init__(self, config, tensors):
        super().__init__({k.removeprefix("transformer."): v for k, v in tensors.items()})
        self.layers, self.heads, self.eps = config["n_layer"], config["n_head"], config["layer_norm_epsilon"]
        self.kv_heads = self.heads

    def norm(self, x, key):
        return F.layer_norm(x, x.shape[-1:], self.w(key + ".weight"), self.w(key + ".bias"), self.eps)

    def project(self, x, key):
        return torch.addmm(self.w(key + ".bias"), x.flatten(0, -2), self.w(key + ".weight")).unflatten(0, x.shape[:-1])

    def hidden(self, tokens, positions, caches=None, position=None):
        x = F.embedding(tokens, self.w("wte.weight")) + F.embedding(positions, self.w("wpe.weight"))
        b, t, d = x.shape
        for i in range(self.layers):
            h = f"h.{i}."
            qkv = self.project(self.norm(x, h + "ln_1"), h + "attn.c_attn").view(b, t, 3, self.heads, d // self.heads)
            q, k, v = qkv.permute(2, 0, 3, 1, 4)
            y = attend(q, k, v, caches and caches[i], position)
            x = x + self.project(y.transpose(1, 2).reshape(b, t, d), h + "attn.c_proj")
            x = x + self.project(F.gelu(self.project(self.norm(x, h + "ln_2"), h + "mlp.c_fc"), approximate="tanh"), h + "mlp.c_proj")
        return self.norm(x, "ln_f")

    def logits(self, x):
        return F.linear(x, self.w("wte.weight"))

    def loss(self, tokens, labels):
        x = self.hidden(tokens, torch.arange(tokens.shape[1], device=tokens.device))
        return F.cross_entropy(self.logits(x[:, :-1]).flatten(0, 1), labels[:, 1:].flatten())


class Llama(Weights):
    def __init__(self, config, tensors):
        super().__init__(tensors)
        self.layers, self.heads, self.kv_heads = config["num_hidden_layers"], config["num_attention_heads"], config["num_key_value_heads"]
        self.eps = config["rms_norm_eps"]
        self.joined = {}
        width = config["hidden_size"] // self.heads
        f = 1 / config["rope_theta"] ** (torch.arange(0, width, 2, dtype=torch.float64) / width)
        s = config["rope_scaling"]
        turns = s["original_max_position_embeddings"] * f / (2 * torch.pi)
        low, high, factor = s["low_freq_factor"], s["high_freq_factor"], s["factor"]
        smooth = ((turns - low) / (high - low)).clamp(0, 1)
        self.register_buffer("frequencies", ((1 - smooth) * f / factor + smooth * f).float().to(place))

    def join(self):
        """A model of the same weights, with those of q, k and v in one tensor, and those of gate and up: what an optimizing hand does."""
        other = copy.copy(self)
        other.joined = {}
        for i in range(self.layers):
            p = f"model.layers.{i}."
            for keys in ([f"{p}self_attn.{n}_proj.weight" for n in "qkv"], [p + "mlp.gate_proj.weight", p + "mlp.up_proj.weight"]):
                joined = torch.cat([self.w(k) for k in keys])
                # As parameters are: a graph reads it where it lies.
                torch._dynamo.mark_static_address(joined)
                other.joined[keys[0]] = joined
        return other

    def norm(self, x, key):
        return F.rms_norm(x, x.shape[-1:], self.w(key + ".weight"), self.eps)

    def hidden(self, tokens, positions, caches=None, position=None):
        x = F.embedding(tokens, self.w("model.embed_tokens.weight"))
        b, t, d = x.shape
        angle = positions.float()[:, None] * self.frequencies
        cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)

        def heads(y):
            return y.view(b, t, -1, d // self.heads).transpose(1, 2)

        def side_by_side(y, keys):
            """Products of one input, in one product where the weights were joined."""
            joined = self.joined.get(keys[0])
            if joined is None:
                return [F.linear(y, self.w(k)) for k in keys]
            return F.linear(y, joined).split([self.w(k).shape[0] for k in keys], -1)

        def turn(y):
            a, c = y.chunk(2, -1)
            return torch.cat([a * cos - c * sin, c * cos + a * sin], -1)

        for i in range(self.layers):
            p = f"model.layers.{i}."
            y = self.norm(x, p + "input_layernorm")
            q, k, v = (heads(z) for z in side_by_side(y, [f"{p}self_attn.{n}_proj.weight" for n in "qkv"]))
            y = attend(turn(q), turn(k), v, caches and caches[i], position)
            x = x + F.linear(y.transpose(1, 2).reshape(b, t, d), self.w(p + "self_attn.o_proj.weight"))
            y = self.norm(x, p + "post_attention_layernorm")
            gate, up = side_by_side(y, [p + "mlp.gate_proj.weight", p + "mlp.up_proj.weight"])
            x = x + F.linear(F.silu(gate) * up, self.w(p + "mlp.down_proj.weight"))
        return self.norm(x, "model.norm")

    def logits(self, x):
        return F.linear(x, self.w("model.embed_tokens.weight"))


class Bert(Weights):
    def __init__(self, config, tensors):
        super().__init__(tensors)
        self.layers, self.heads, self.eps = config["num_hidden_layers"], config["num_attention_heads"], config["layer_norm_eps"]

    def norm(self, x, key):
        return F.layer_norm(x, x.shape[-1:], self.w(key + ".weight"), self.w(key + ".bias"), self.eps)

    def linear(self, x, key):
        return F.linear(x, self.w(key + ".weight"), self.w(key + ".bias"))

    def loss(self, tokens, labels):
        e = "bert.embeddings."
        word = self.w(e + "word_embeddings.weight")
        types = self.w(e + "token_type_embeddings.weight")
        x = F.embedding(tokens, word) + types[0] + self.w(e + "position_embeddings.weight")[: tokens.shape[1]]
        x = self.norm(x, e + "LayerNorm")
        b, t, d = x.shape
        for i in range(self.layers):
            p = f"bert.encoder.layer.{i}."
            q, k, v = (self.linear(x, f"{p}attention.self.{n}").view(b, t, self.heads, -1).transpose(1, 2) for n in ("query", "key", "value"))
            y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, t, d)
            x = self.norm(self.linear(y, p + "attention.output.dense") + x, p + "attention.output.LayerNorm")
            y = self.linear(F.gelu(self.linear(x, p + "intermediate.dense")), p + "output.dense")
            x = self.norm(y + x, p + "output.LayerNorm")
        h = "cls.predictions."
        x = self.norm(F.gelu(self.linear(x, h + "transform.dense")), h + "transform.LayerNorm")
        return F.cross_entropy(F.linear(x, word, self.w(h + "bias")).flatten(0, 1), labels.flatten())


class ResNet18(nn.Module):
    """torchvision's ResNet-18 with its keys."""

    def __init__(self, state):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64)
        channels = 64
        for stage, width in enumerate((64, 128, 256, 512), 1):
            layer = nn.ModuleList()
            for i in range(2):
                stride = 2 if stage > 1 and i == 0 else 1
                block = nn.Module()
                block.conv1, block.bn1 = nn.Conv2d(channels, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width)
                block.conv2, block.bn2 = nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width)
                down = stride != 1 or channels != width
                block.downsample = nn.Sequential(nn.Conv2d(channels, width, 1, stride, bias=False), nn.BatchNorm2d(width)) if down else nn.Identity()
                channels = width
                layer.append(block)
            setattr(self, f"layer{stage}", layer)
        self.fc = nn.Linear(512, 1000)
        missing, unexpected = self.load_state_dict(state, strict=False)
        assert not unexpected and all(k.endswith("num_batches_tracked") for k in missing), (missing, unexpected)

    def forward(self, x):
        x = F.max_pool2d(self.bn1(self.conv1(x)).relu(), 3, 2, 1)
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            for b in layer:
                x = (b.bn2(b.conv2(b.bn1(b.conv1(x)).relu())) + b.downsample(x)).relu()
        return self.fc(x.mean((2, 3)))


def compiled(f, variant):
    torch._inductor.config.freezing = variant == "freeze"
    if variant == "eager":
        return f
    return torch.compile(f, dynamic=False, mode="reduce-overhead" if variant in ("reduce-overhead", "fused") else None)


class Runner:
    def __init__(self, values, run):
        self.values, self.run = values, run


dtypes = {"f32": torch.float32, "bf16": torch.bfloat16}


def generator(Model):
    """Jobs of decoding and prefill. Variants share the weights."""

    def opened(spec, inputs):
        config, tensors = checkpoint(spec["folder"], dtypes[spec["dtype"]])
        model = Model(config, tensors).eval().requires_grad_(False)
        prompt = inputs[0].reshape(1, -1)
        length = spec["length"]
        width = model.w(next(k for k in model.names if k.endswith("norm.weight") or k == "ln_f.weight")).shape[0] // model.heads

        def fresh():
            caches = [torch.zeros(2, 1, model.kv_heads, length, width, dtype=dtypes[spec["dtype"]], device=place) for _ in range(model.layers)]
            for c in caches:
                torch._dynamo.mark_static_address(c)
            return caches

        return model, prompt, fresh

    # What a GPU has not computed yet, the loop need not wait for.
    ahead = place.type != "cpu"

    def step(model):
        def decode(token, position, at, caches):
            x = model.hidden(token.reshape(1, 1), at.reshape(1), caches, position)
            logits = model.logits(x[:, 0])
            return logits, logits.argmax(-1)

        return decode

    def decode(spec, inputs):
        model, prompt, fresh = opened(spec, inputs)
        first = prompt.shape[1]
        given = inputs[1]

        def make(variant):
            caches = fresh()
            own = model.join() if variant == "fused" else model
            f = compiled(step(own), variant)
            positions = torch.arange(spec["length"], device=place)

            def one(token, i):
                at = positions[i]
                return f(token, i if variant == "eager" else at, at, caches)

            def values():
                with torch.no_grad():
                    model.hidden(prompt, torch.arange(first, device=place), caches)
                    return [one(given[i : i + 1], first + i)[0].clone() for i in range(len(given))]

            def run(calls):
                with torch.no_grad():
                    token, before = given[:1], None
                    for i in range(calls):
                        token = one(token, first + i)[1]
                        if not ahead:
                            token.item()
                            continue
                        # A graph's results are written over by its next run.
                        token = token.clone()
                        if before is not None:
                            before.item()
                        before = token
                    if before is not None:
                        before.item()

            return Runner(values, run)

        return make

    def prefill(spec, inputs):
        model, prompt, fresh = opened(spec, inputs)
        positions = torch.arange(prompt.shape[1], device=place)

        def make(variant):
            if place.type == "cuda":
                torch.set_float32_matmul_precision("high")
            caches = fresh()

            def whole(tokens, positions, caches):
                logits = model.logits(model.hidden(tokens, positions, caches)[:, -1])
                return logits, logits.argmax(-1)

            f = compiled(whole, variant)

            def once():
                with torch.no_grad():
                    return f(prompt, positions, caches)

            def run(calls):
                for _ in range(calls):
                    once()[1].item()

            return Runner(lambda: [once()[0].clone(), once()[0].clone()][1:], run)

        return make

    return decode, prefill


def trainer(Model):
    def train(spec, inputs):
        tokens, labels = inputs

        def make(variant):
            kind = place.type
            if kind == "cuda":
                torch.set_float32_matmul_precision("high")
            config, tensors = checkpoint(spec["folder"], torch.float32)
            model = Model(config, tensors)
            optimizer = torch.optim.AdamW(model.parameters(), lr=spec["lr"], weight_decay=0.01, fused=True)
            f = compiled(model.loss, variant)

            def once():
                with torch.autocast(kind, torch.bfloat16, enabled=spec["dtype"] == "bf16"):
                    loss = f(tokens, labels)
                loss.backward()
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
                return loss.detach()

            def run(calls):
                for _ in range(calls):
                    once().item()

            # A graph's results are written over by its next run.
            return Runner(lambda: [once().clone() for _ in range(4)], run)

        return make

    return train


gpt2_decode, gpt2_prefill = generator(GPT2)
llama_decode, llama_prefill = generator(Llama)
gpt2_train, bert_train = trainer(GPT2), trainer(Bert)
