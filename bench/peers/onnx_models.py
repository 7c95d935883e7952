"""Writes the ONNX models that onnxruntime-node runs: KIND, a JSON object with shapes of the inputs, FILE."""
import json
import sys

import onnx
from onnx import TensorProto, helper

kind, given, file = sys.argv[1], json.loads(sys.argv[2]), sys.argv[3]
shapes = given["shapes"]


def value(name, shape):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def save(nodes, inputs, out, initializers=()):
    graph = helper.make_graph(nodes, kind, inputs, [out], list(initializers))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    onnx.save(model, file)


if kind == "matmul":
    a, b = shapes
    save([helper.make_node("MatMul", ["a", "b"], ["y"])], [value("a", a), value("b", b)], value("y", [a[0], b[1]]))
elif kind == "softmax":
    save([helper.make_node("Softmax", ["x"], ["y"], axis=-1)], [value("x", shapes[0])], value("y", shapes[0]))
elif kind == "layernorm":
    x, w, b = shapes
    node = helper.make_node("LayerNormalization", ["x", "w", "b"], ["y"], axis=-1, epsilon=1e-5)
    save([node], [value("x", x), value("w", w), value("b", b)], value("y", x))
elif kind == "resnet18":
    import numpy
    from onnx import numpy_helper
    from safetensors.numpy import load_file

    state = load_file(given["spec"]["folder"] + "/model.safetensors")
    nodes, last = [], "x"

    def node(op, inputs, **attributes):
        nodes.append(helper.make_node(op, inputs, [f"v{len(nodes)}"], **attributes))
        return f"v{len(nodes) - 1}"

    def conv(x, key, norm, size, stride, pad):
        y = node("Conv", [x, key + ".weight"], kernel_shape=[size, size], strides=[stride, stride], pads=[pad] * 4)
        return node("BatchNormalization", [y, *(f"{norm}.{k}" for k in ("weight", "bias", "running_mean", "running_var"))], epsilon=1e-5)

    y = node("Relu", [conv("x", "conv1", "bn1", 7, 2, 3)])
    y = node("MaxPool", [y], kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    for stage in range(1, 5):
        for i in range(2):
            p, stride = f"layer{stage}.{i}.", 2 if stage > 1 and i == 0 else 1
            past = conv(y, p + "downsample.0", p + "downsample.1", 1, stride, 0) if p + "downsample.0.weight" in state else y
            z = node("Relu", [conv(y, p + "conv1", p + "bn1", 3, stride, 1)])
            y = node("Relu", [node("Add", [conv(z, p + "conv2", p + "bn2", 3, 1, 1), past])])
    y = node("Flatten", [node("GlobalAveragePool", [y])])
    nodes.append(helper.make_node("Gemm", [y, "fc.weight", "fc.bias"], ["y"], transB=1))
    initializers = [numpy_helper.from_array(numpy.ascontiguousarray(v), k) for k, v in state.items()]
    save(nodes, [value("x", shapes[0])], value("y", [shapes[0][0], 1000]), initializers)
elif kind == "gpt2-prefill":
    import numpy
    from onnx import numpy_helper
    from safetensors.numpy import load_file

    folder = given["spec"]["folder"]
    config = json.load(open(folder + "/config.json"))
    heads, width, time = config["n_head"], config["n_embd"], shapes[0][0]
    state = load_file(folder + "/model.safetensors")
    state = {k.removeprefix("transformer."): v for k, v in state.items()}
    nodes = []

    def node(op, inputs, **attributes):
        nodes.append(helper.make_node(op, inputs, [f"v{len(nodes)}"], **attributes))
        return f"v{len(nodes) - 1}"

    def const(name, array):
        state[name] = numpy.asarray(array)
        return name

    def norm(x, key):
        return node("LayerNormalization", [x, key + ".weight", key + ".bias"], axis=-1, epsilon=config["layer_norm_epsilon"])

    def linear(x, key):
        return node("Add", [node("MatMul", [x, key + ".weight"]), key + ".bias"])

    def split(x, perm):
        return node("Transpose", [node("Reshape", [x, "split"])], perm=perm)

    const("split", numpy.array([time, heads, width // heads], numpy.int64))
    const("merge", numpy.array([time, width], numpy.int64))
    const("scale", numpy.float32((width // heads) ** -0.5))
    const("mask", numpy.triu(numpy.full((time, time), -1e9, numpy.float32), 1))
    const("positions", state.pop("wpe.weight")[:time])
    const("head", numpy.ascontiguousarray(state["wte.weight"].T))
    for name, value_ in (("half", 0.5), ("one", 1.0), ("cubic", 0.044715), ("root", (2 / numpy.pi) ** 0.5)):
        const(name, numpy.float32(value_))
    x = node("Add", [node("Gather", ["wte.weight", node("Cast", ["x"], to=TensorProto.INT64)]), "positions"])
    for i in range(config["n_layer"]):
        p = f"h.{i}."
        qkv = node("Split", [linear(norm(x, p + "ln_1"), p + "attn.c_attn")], axis=-1)
        nodes[-1].output.extend([qkv + "k", qkv + "v"])
        q, k, v = split(qkv, [1, 0, 2]), split(qkv + "k", [1, 2, 0]), split(qkv + "v", [1, 0, 2])
        scores = node("Add", [node("Mul", [node("MatMul", [q, k]), "scale"]), "mask"])
        y = node("MatMul", [node("Softmax", [scores], axis=-1), v])
        y = node("Reshape", [node("Transpose", [y], perm=[1, 0, 2]), "merge"])
        x = node("Add", [x, linear(y, p + "attn.c_proj")])
        u = linear(norm(x, p + "ln_2"), p + "mlp.c_fc")
        inner = node("Add", [u, node("Mul", ["cubic", node("Mul", [u, node("Mul", [u, u])])])])
        gate = node("Add", ["one", node("Tanh", [node("Mul", ["root", inner])])])
        x = node("Add", [x, linear(node("Mul", [node("Mul", ["half", u]), gate]), p + "mlp.c_proj")])
    last = node("Gather", [norm(x, "ln_f"), const("last", numpy.array([time - 1], numpy.int64))], axis=0)
    nodes.append(helper.make_node("MatMul", [last, "head"], ["y"]))
    used = {name for n in nodes for name in n.input}
    initializers = [numpy_helper.from_array(numpy.ascontiguousarray(v), k) for k, v in state.items() if k in used]
    save(nodes, [value("x", [time])], value("y", [1, config["vocab_size"]]), initializers)
else:
    raise SystemExit(f"no model {kind}")
