"""MLflow's own parser of filters, orders and page tokens, without the rest of MLflow.

`import mlflow` costs 3 s and 165 MB, for it brings pandas, SciPy and FastAPI; the parser needs none of them (0.8 s and
50 MB). So the package's own first lines are left out while its parser is imported, and forgotten afterwards: whoever
imports mlflow later gets the whole. No scoring server imports this module.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec, module_from_spec
from typing import Any, TypeVar

from registry.refusals import Invalid

_spec = find_spec("mlflow")
_alone = "mlflow" not in sys.modules and _spec is not None
if _alone:
    sys.modules["mlflow"] = module_from_spec(_spec)  # type: ignore[arg-type]  # a package that is not executed
from mlflow.exceptions import MlflowException  # noqa: E402
from mlflow.utils.search_utils import SearchModelUtils, SearchModelVersionUtils, SearchUtils  # noqa: E402

if _alone:
    for _name in [name for name in sys.modules if name.partition(".")[0] == "mlflow"]:
        del sys.modules[_name]

LONGEST = 10_000  # characters of a filter: time to parse grows with its length
Result = TypeVar("Result")


@dataclass(frozen=True)
class Clause:
    """One comparison of a filter; all of them have to hold. `value`: a text, a whole number, or texts for IN."""

    key: str
    comparator: str
    value: Any
    of_tag: bool


def models(text: str) -> list[Clause]:
    """Return the clauses of a filter of models; Invalid says what of it is not understood."""
    return [_clause(found) for found in _parsed(SearchModelUtils.parse_search_filter, text)]


def versions(text: str) -> list[Clause]:
    """Return the clauses of a filter of versions."""
    return [_clause(found) for found in _parsed(SearchModelVersionUtils.parse_search_filter, text)]


def order_of_models(items: Sequence[str]) -> list[tuple[str, bool]]:
    """Return the keys to order models by, each with whether it ascends; Invalid when one comes twice."""
    return _order(SearchModelUtils.parse_order_by_for_search_registered_models, items)


def order_of_versions(items: Sequence[str]) -> list[tuple[str, bool]]:
    """Return the keys to order versions by."""
    return _order(SearchModelVersionUtils.parse_order_by_for_search_model_versions, items)


def offset(token: str) -> int:
    """Return at which row a page begins."""
    found = int(_parsed(SearchUtils.parse_start_offset_from_page_token, token))
    if not 0 <= found < 1 << 31:
        raise Invalid("Send as page_token what was answered as next_page_token before.")
    return found


def token(start: int) -> str:
    """Return the token of the page that begins at a row."""
    written = SearchUtils.create_page_token(start)
    return written.decode() if isinstance(written, bytes) else str(written)


def _parsed(parse: Callable[[str], Result], text: str) -> Result:
    """Return what MLflow reads; its parser of SQL raises other errors of its own for odd texts."""
    if len(text) > LONGEST:
        raise Invalid(f"A filter has at most {LONGEST:,} characters. Ask for fewer things at once.")
    try:
        return parse(text)
    except MlflowException as error:
        raise Invalid(error.message) from error
    except (ValueError, TypeError, AttributeError, IndexError, KeyError, StopIteration, RecursionError) as error:
        raise Invalid(f"{text[:200]!r} is not understood ({type(error).__name__}).") from error


def _order(parse: Callable[[str], tuple[str, str, bool]], items: Sequence[str]) -> list[tuple[str, bool]]:
    found = [_parsed(parse, item) for item in items]
    if any(kind != "attribute" for kind, _, _ in found):
        raise Invalid(f"`order_by` takes attributes only, not tags: {', '.join(items)}")
    keys = [key for _, key, _ in found]
    if len(set(keys)) < len(keys):
        raise Invalid(f"`order_by` contains duplicate fields: {', '.join(items)}")
    return [(key, ascending) for _, key, ascending in found]


def _clause(found: dict[str, Any]) -> Clause:
    return Clause(found["key"], found["comparator"].upper(), found["value"], found["type"] == "tag")
