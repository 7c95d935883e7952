"""Writes what plain torch code gives for small random ResNets: test/golden/models/resnet-NAME.safetensors.

Usage: python tools/goldens/resnet.py [OUT_DIR]

The modules have torchvision's names and state-dict keys. A file holds the weights (weights.KEY), an image batch, and the logits in evaluation, and
from a training step the logits, the loss and its gradients (grads.KEY), all from f64 arithmetic.
"""

import json
import sys

import torch
import torch.nn as nn
from safetensors.torch import save_file

torch.set_num_threads(1)
OUT = sys.argv[1] if len(sys.argv) > 1 else "test/golden/models"


def conv(i, o, k, stride=1):
    return nn.Conv2d(i, o, k, stride, k // 2, bias=False)


class Block(nn.Module):
    def __init__(self, i, width, stride, kind):
        super().__init__()
        plan = [(i, width, 3, stride), (width, width, 3, 1)]
        if kind == "bottleneck":
            plan = [(i, width, 1, 1), (width, width, 3, stride), (width, 4 * width, 1, 1)]
        self.count = len(plan)
        for n, p in enumerate(plan):
            setattr(self, f"conv{n + 1}", conv(*p))
            setattr(self, f"bn{n + 1}", nn.BatchNorm2d(p[1]))
        out = plan[-1][1]
        self.downsample = nn.Sequential(conv(i, out, 1, stride), nn.BatchNorm2d(out)) if stride != 1 or i != out else None
        self.out = out

    def forward(self, x):
        y = x
        for n in range(1, self.count + 1):
            y = getattr(self, f"bn{n}")(getattr(self, f"conv{n}")(y))
            if n < self.count:
                y = y.relu()
        return (y + (x if self.downsample is None else self.downsample(x))).relu()


class ResNet(nn.Module):
    def __init__(self, kind, layers, width, classes):
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        i = width
        for s, n in enumerate(layers):
            blocks = []
            for j in range(n):
                blocks.append(Block(i, width * 2**s, 2 if s and not j else 1, kind))
                i = blocks[-1].out
            setattr(self, f"layer{s + 1}", nn.Sequential(*blocks))
        self.fc = nn.Linear(i, classes)

    def forward(self, x):
        y = nn.functional.max_pool2d(self.bn1(self.conv1(x)).relu(), 3, 2, 1)
        for s in range(1, 5):
            y = getattr(self, f"layer{s}")(y)
        return self.fc(y.mean((2, 3)))


def write(name, kind, layers, width, classes, size):
    torch.manual_seed(3)
    model = ResNet(kind, layers, width, classes)
    for m in model.modules():
        if isinstance(m, nn.BatchNorm2d):
            m.running_mean.normal_(0, 0.2)
            m.running_var.uniform_(0.5, 2)
            nn.init.uniform_(m.weight, 0.5, 1.5)
            nn.init.normal_(m.bias, 0, 0.2)
    out = {f"weights.{k}": v.clone() for k, v in model.state_dict().items()}
    x = torch.randn(2, 3, *size)
    labels = torch.randint(0, classes, (2,))
    model.double()
    with torch.no_grad():
        out["logits"] = model.eval()(x.double())
    trained = model.train()(x.double())
    loss = nn.functional.cross_entropy(trained, labels)
    loss.backward()
    out |= {"x": x, "labels": labels, "trained": trained.detach(), "loss": loss.detach().reshape(1)}
    out |= {f"grads.{k}": p.grad for k, p in model.named_parameters()}
    out = {k: (v.float() if v.is_floating_point() else v).contiguous() for k, v in out.items()}
    config = {"block": kind, "layers": layers, "width": width, "channels": 3, "classes": classes}
    save_file(out, f"{OUT}/resnet-{name}.safetensors", metadata={"config": json.dumps(config)})


write("basic", "basic", [1, 2, 1, 1], 3, 7, (53, 40))
write("bottleneck", "bottleneck", [1, 1, 2, 1], 2, 5, (40, 33))
