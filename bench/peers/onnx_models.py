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
else:
    raise SystemExit(f"no model {kind}")
