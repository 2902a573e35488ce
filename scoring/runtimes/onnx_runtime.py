"""Models in ONNX, scored by ONNX Runtime on one thread; explained by shap, later, in a worker.

A graph says nothing of the training data, so attributions are measured against rows of reference data: Shapley values
of the probability, exact up to ten features and by permutations beyond (Lundberg and Lee 2017; shap.explainers).
"""

import importlib
from typing import Any

import numpy as np
import onnxruntime

from registry.refusals import Invalid, Unavailable
from scoring.runtimes import Explained, Scored

flavour = "onnx"
BACKGROUND = 100  # rows of it that are used: more cost time and change little
_TYPES = {"tensor(float)": np.float32, "tensor(double)": np.float64}


class Graph:
    """A binary classifier: rows in as one matrix, probabilities out."""

    flavour, explains_inline, explains_by = flavour, False, "sampling"

    def __init__(self, session: onnxruntime.InferenceSession, output: str) -> None:
        (self._input,) = session.get_inputs()
        self._session, self._output, self._type = session, output, _TYPES[self._input.type]

    def score(self, rows: np.ndarray) -> Scored:
        """Return probabilities, each row by itself: sums of a batch depend on its size in the last bit."""
        score = np.array([self._probability(row[None]) for row in rows], dtype=np.float64)
        return Scored(score, score, "identity")

    def _probability(self, row: np.ndarray) -> float:
        (found,) = self._session.run([self._output], {self._input.name: row.astype(self._type)})
        return float(np.ravel(found)[-1])

    def explain(self, rows: np.ndarray) -> Explained:
        """Refuse: sampling takes seconds."""
        raise Unavailable("ONNX models are not explained inside a request; their explanations are made afterwards.")

    def explain_slowly(self, rows: np.ndarray, background: np.ndarray) -> Explained:
        """Return scores and Shapley values against the first rows of the background."""
        scored = self.score(rows)
        library = importlib.import_module("scoring.runtimes.shap_library")
        base, attributions = library.sampled(lambda given: self.score(given).score, rows, background[:BACKGROUND])
        return Explained(scored.score, scored.margin, base, attributions, scored.link)


def load(data: bytes, features: int, *, library: bool) -> Graph:
    """Load a graph that takes one matrix of so many columns and gives the probability of the second of two classes."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its own classes derive from Exception, one by one
        raise Invalid(
            f"The ONNX file cannot be read ({type(error).__name__}). If its weights lie in a file beside it, log it "
            "with save_as_external_data=False."
        ) from error
    inputs = session.get_inputs()
    if len(inputs) != 1 or inputs[0].type not in _TYPES or len(inputs[0].shape) != 2:
        raise Invalid("An ONNX model is served if it takes one matrix of numbers: a row a case, a column a feature.")
    if inputs[0].shape[1] not in (features, None) and not isinstance(inputs[0].shape[1], str):
        raise Invalid(f"The ONNX model takes {inputs[0].shape[1]} features, its schema has {features}.")
    return Graph(session, _probabilities(session.get_outputs()))


def _probabilities(outputs: list[Any]) -> str:
    """Return the output that holds probabilities: [n, 2], [n, 1] or [n]."""
    numbers = [found for found in outputs if found.type in _TYPES]
    if len(numbers) == 1 and (len(numbers[0].shape) < 2 or numbers[0].shape[1] in (1, 2)):
        return str(numbers[0].name)
    raise Invalid(
        "An ONNX model is served if one output holds the probabilities of two classes as a matrix; "
        "convert scikit-learn models with options={'zipmap': False}."
    )
