"""Which of a label's values is the adverse event, told from how often each comes. Pure."""

from collections.abc import Mapping

from registry.refusals import Invalid

ADVERSE = {"true", "yes", "y", "t", "fraud", "fraudulent", "bad", "default", "charged off", "positive"}
FEWEST = 10  # rows of either outcome below which nothing can be learnt


def word(value: object) -> str:
    """Return a label's value as the word it is compared by: 1, 1.0 and "1 " are the same."""
    return str(value).strip().lower().removesuffix(".0")


def chosen(counts: Mapping[str, int], label: str, adverse: str | None) -> str:
    """Return which word is the adverse event: what is said, else found out of two; Invalid where that cannot be.

    `counts`: word → rows, the most frequent first.
    """
    shown = ", ".join(list(counts)[:5]) + (", …" if len(counts) > 5 else "")
    if adverse is not None and word(adverse) not in counts:
        raise Invalid(f"The label {label} never says {adverse!r}; it says {shown or 'nothing'}.")
    if adverse is not None:
        return word(adverse)
    if len(counts) != 2:
        raise Invalid(
            f"The label {label} has {len(counts)} different values ({shown or 'none'}); it must have two (the adverse "
            "event or not). Name another column, or say which value is the adverse event."
        )
    return _adverse(list(counts))


def _adverse(words: list[str]) -> str:
    """Return which of two words, the more frequent first, is the adverse event: the larger number, else by name."""
    try:
        return max(words, key=float)
    except ValueError:
        named = [word for word in words if word in ADVERSE]
        return named[0] if len(named) == 1 else words[-1]


def demand_both(adverse: int, rows: int, label: str) -> None:
    """Refuse a label of which nothing can be learnt: too few rows of either outcome."""
    fewer = min(adverse, rows - adverse)
    if fewer < FEWEST:
        raise Invalid(
            f"Only {fewer} rows of {label} have one of the two outcomes. To learn an event and to measure how well, at "
            f"least {FEWEST} rows of each are needed."
        )
