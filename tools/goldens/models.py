"""Writes what transformers gives for small random language models: test/golden/models/NAME.safetensors.

Usage: python tools/goldens/models.py [OUT_DIR] [STORIES_DIR]

A file holds the checkpoint as `save_pretrained` writes it (weights.KEY, in bf16, which its values are representable in), inputs, from f32
arithmetic the logits, the loss and the loss's gradients (grads.KEY), and how far from these PyTorch's own short arithmetic is (errors.KIND).
Its metadata has the model's config.json. STORIES_DIR, a folder with the trained model stories260K, adds its logits.
"""

import copy
import json
import os
import sys
import tempfile

import torch
import transformers
from safetensors.torch import load_file, save_file

torch.set_num_threads(1)
OUT = sys.argv[1] if len(sys.argv) > 1 else "test/golden/models"
llama = dict(
    vocab_size=53, hidden_size=16, intermediate_size=22, num_hidden_layers=2, max_position_embeddings=64, rms_norm_eps=1e-5
)
MODELS = {
    "gpt2": (
        transformers.GPT2LMHeadModel,
        transformers.GPT2Config(vocab_size=59, n_embd=18, n_layer=2, n_head=3, n_positions=24, resid_pdrop=0, embd_pdrop=0, attn_pdrop=0),
    ),
    "bert": (
        transformers.BertForMaskedLM,
        transformers.BertConfig(
            vocab_size=47, hidden_size=18, num_hidden_layers=2, num_attention_heads=3, intermediate_size=28, max_position_embeddings=20,
            hidden_dropout_prob=0, attention_probs_dropout_prob=0,
        ),
    ),
    "llama2": (
        transformers.LlamaForCausalLM,
        transformers.LlamaConfig(**llama, num_attention_heads=2, num_key_value_heads=2, head_dim=10, tie_word_embeddings=True),
    ),
    "llama3": (
        transformers.LlamaForCausalLM,
        transformers.LlamaConfig(
            **llama, num_attention_heads=4, num_key_value_heads=2, attention_bias=True, mlp_bias=True, tie_word_embeddings=False,
            rope_parameters={
                "rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                "original_max_position_embeddings": 32,
            },
        ),
    ),
}


def checkpoint(model):
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        with open(os.path.join(folder, "config.json")) as f:
            return load_file(os.path.join(folder, "model.safetensors")), json.load(f)


def write(name, kind, config):
    torch.manual_seed(5)
    config._attn_implementation = "eager"
    model = kind(config).eval()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn(p.shape) * 0.15)
            p.copy_(p.to(torch.bfloat16).float())
    weights, written = checkpoint(model)
    tokens = torch.randint(0, config.vocab_size, (2, 13))
    inputs = {"input_ids": tokens}
    if name == "bert":
        mask = torch.ones_like(tokens)
        mask[1, 9:] = 0
        labels = torch.where((torch.rand(tokens.shape) < 0.4) & (mask == 1), tokens, -100)
        inputs |= {"attention_mask": mask, "token_type_ids": (torch.arange(13) >= 6).long().expand(2, 13).contiguous(), "labels": labels}
    else:
        labels = tokens.clone()
        labels[0, :4] = -100
        inputs["labels"] = labels
    out = model(**inputs)
    out.loss.backward()
    grads = {n: p.grad for n, p in model.named_parameters()}
    tensors = {f"weights.{k}": v.to(torch.bfloat16) for k, v in weights.items()}
    tensors |= {f"grads.{k}": v.clone() for k, v in grads.items()}
    tensors |= {k: v.contiguous() for k, v in inputs.items()}
    tensors |= {"logits": out.logits.detach(), "loss": out.loss.detach().reshape(1)}
    tensors |= short(model, inputs, out.logits.detach(), [g.clone() for g in grads.values()])
    save_file({k: v.contiguous() for k, v in tensors.items()}, os.path.join(OUT, f"{name}.safetensors"), {"config": json.dumps(written)})


def apart(got, want):
    """The error's norm as a part of the norm, over all tensors."""
    norm = lambda xs: sum(x.double().pow(2).sum() for x in xs).sqrt()
    return norm([a.float() - b for a, b in zip(got, want)]) / norm(want)


def short(model, inputs, logits, grads):
    """How far PyTorch's results are from f32's: logits and gradients under autocast to bf16, logits of the whole model in f16 and in bf16."""
    model.zero_grad()
    with torch.autocast("cpu", torch.bfloat16):
        out = model(**inputs)
    out.loss.backward()
    errors = {"autocast.logits": apart([out.logits], [logits]), "autocast.grads": apart([p.grad for p in model.parameters()], grads)}
    for name, dtype in (("f16", torch.float16), ("bf16", torch.bfloat16)):
        with torch.no_grad():
            errors[f"{name}.logits"] = apart([copy.deepcopy(model).to(dtype)(**inputs).logits], [logits])
    return {f"errors.{k}": v.detach().float().reshape(1) for k, v in errors.items()}


def stories(folder):
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokens = model.generate(torch.tensor([[1]]), max_new_tokens=23, do_sample=False, pad_token_id=2)
    with torch.no_grad():
        logits = model(tokens).logits
    save_file({"input_ids": tokens, "logits": logits[0].contiguous()}, os.path.join(OUT, "stories260K.safetensors"))


os.makedirs(OUT, exist_ok=True)
for name, (kind, config) in MODELS.items():
    write(name, kind, config)
if len(sys.argv) > 2:
    stories(sys.argv[2])
