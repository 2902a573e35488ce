"""Models in ONNX, written node by node."""

import numpy as np
import onnx
from onnx import TensorProto, helper

WEIGHTS = np.array([0.5, -1.25, 2.0, 0.0], np.float32)


def logistic(outputs=1, features=4):
    """Return the bytes of a logistic regression; with two outputs it says classes too, by numbers."""
    nodes = [
        helper.make_node("MatMul", ["rows", "weights"], ["margin"]),
        helper.make_node("Sigmoid", ["margin"], ["probability"]),
        helper.make_node("Round", ["probability"], ["class"]),
    ]
    graph = helper.make_graph(
        nodes,
        "logistic",
        [helper.make_tensor_value_info("rows", TensorProto.FLOAT, [None, features])],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, 1])
            for name in ("probability", "class")[:outputs]
        ],
        [helper.make_tensor("weights", TensorProto.FLOAT, [features, 1], WEIGHTS[:features])],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(made)
    return made.SerializeToString()
