"""XGBoost's C function for rows as they lie in memory, with its arguments prepared: no matrix is made for a row.

See XGBoosterPredictFromDense in xgboost/c_api.h, the function behind `Booster.inplace_predict`.
"""

import ctypes
import json

import numpy as np
import xgboost

_C = xgboost.core._LIB
_RAW, _PROBABILITY = 1, 0


class Rows:
    """Predicts rows with a booster of trees; raw: log-odds, else probabilities."""

    def __init__(self, booster: xgboost.Booster, *, raw: bool) -> None:
        self._booster, self._features = booster, booster.num_features()
        told = {"type": _RAW if raw else _PROBABILITY, "training": False, "iteration_begin": 0, "iteration_end": 0}
        self._told = json.dumps({**told, "missing": float("nan"), "strict_shape": False, "cache_id": 0}).encode()

    def predict(self, rows: np.ndarray) -> np.ndarray:
        """Return the predictions of rows, float64 of shape (n, features), as float64 of shape (n,)."""
        rows = np.ascontiguousarray(rows, dtype=np.float64)
        if rows.shape[1:] != (self._features,):  # the C function would not ask
            raise ValueError(f"Rows of shape {rows.shape} do not have {self._features} features.")
        at = f'{{"data":[{rows.ctypes.data},true],"typestr":"<f8","shape":[{len(rows)},{self._features}],"version":3}}'
        shape, dimensions = ctypes.POINTER(ctypes.c_uint64)(), ctypes.c_uint64()
        found = ctypes.POINTER(ctypes.c_float)()
        given = (self._booster.handle, at.encode(), self._told, ctypes.c_void_p())
        answer = (ctypes.byref(shape), ctypes.byref(dimensions), ctypes.byref(found))
        if _C.XGBoosterPredictFromDense(*given, *answer):
            raise xgboost.core.XGBoostError(_C.XGBGetLastError().decode())
        return np.ctypeslib.as_array(found, (len(rows),)).astype(np.float64)
