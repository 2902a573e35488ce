"""LightGBM's C functions for one row after another, prepared once: a third of what `Booster.predict` takes for a row.

See LGBM_BoosterPredictForMatSingleRowFastInit in LightGBM/c_api.h. A prepared call has buffers of its own: one thread
at a time makes it: `PyDLL` keeps the interpreter's lock, which for some microseconds costs less than to give it away
and to wait, behind a busy thread, to get it back.
"""

import ctypes
import weakref
from threading import Lock

import lightgbm
import numpy as np

_C = ctypes.PyDLL(lightgbm.basic._LIB._name)  # type: ignore[attr-defined]  # it does not say where it lies otherwise
_C.LGBM_GetLastError.restype = ctypes.c_char_p
_FLOAT64, _NORMAL, _RAW, _EVERY_TREE = 1, 0, 1, -1  # C_API_DTYPE_FLOAT64, C_API_PREDICT_…, of c_api.h


class SingleRow:
    """Predicts rows with a booster, one at a time; raw: log-odds, else probabilities."""

    def __init__(self, booster: lightgbm.Booster, *, raw: bool) -> None:
        self._booster = booster  # the prepared call does not keep it
        self._features = booster.num_feature()
        self._call, self._count = ctypes.c_void_p(), ctypes.c_int64()
        kind = ctypes.c_int(_RAW if raw else _NORMAL)
        shape = (ctypes.c_int(0), ctypes.c_int(_EVERY_TREE), ctypes.c_int(_FLOAT64), ctypes.c_int32(self._features))
        made = (ctypes.c_char_p(b"num_threads=1"), ctypes.byref(self._call))
        _done(_C.LGBM_BoosterPredictForMatSingleRowFastInit(booster._handle, kind, *shape, *made))
        self._row, self._found, self._lock = np.empty(self._features), np.empty(1), Lock()
        out = (ctypes.byref(self._count), ctypes.c_void_p(self._found.ctypes.data))
        self._given = (self._call, ctypes.c_void_p(self._row.ctypes.data), *out)
        weakref.finalize(self, _C.LGBM_FastConfigFree, self._call)

    def predict(self, rows: np.ndarray) -> np.ndarray:
        """Return the prediction of the only row, float64 of shape (1,)."""
        if rows.shape != (1, self._features):  # the C function would read beyond the row
            raise ValueError(f"A row of shape {rows.shape} is not one of {self._features} features.")
        with self._lock:  # the buffers are one row's at a time
            self._row[:] = rows[0]
            _done(_C.LGBM_BoosterPredictForMatSingleRowFast(*self._given))
            return self._found.copy()


def _done(status: int) -> None:
    if status:
        raise lightgbm.basic.LightGBMError(_C.LGBM_GetLastError().decode())
