"""Keep the scoring process small: LightGBM would import pandas and scikit-learn wherever they are installed.

Imported first by the scoring process's URLs. In an image built from requirements/web.txt it changes nothing.
"""

import sys

_HEAVY = [name for name in ("pandas", "sklearn", "matplotlib", "dask", "pyarrow") if name not in sys.modules]

sys.modules.update(dict.fromkeys(_HEAVY))  # type: ignore[arg-type]  # None makes an import fail, as if absent
import lightgbm  # noqa: E402, F401

for _name in _HEAVY:
    del sys.modules[_name]
