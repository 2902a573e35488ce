"""What regulations say that the inventory asks about, as data: each fact with its source and the day it was looked up.

The platform claims nothing itself. When a text changes, the fact is replaced and AS_OF moved: every classification made
before shows that it was made under an older edition.
"""

from dataclasses import dataclass
from datetime import date

AS_OF = date(2026, 10, 31)


@dataclass(frozen=True)
class Fact:
    """Something a source says, as it was read on a day."""

    about: str
    says: str
    source: str
    as_of: date


FACTS = (
    Fact(
        "AI Act, fraud detection",
        "Annex III point 5(b) lists AI systems that evaluate the creditworthiness of natural persons or establish "
        "their credit score, “with the exception of AI systems used for the purpose of detecting financial fraud”.",
        "Regulation (EU) 2024/1689, Annex III",
        AS_OF,
    ),
    Fact(
        "AI Act, when the duties of Annex III begin",
        "After the Digital Omnibus of June 2026, commentators give 2 December 2027; the entry in the Official Journal "
        "was not read for this edition.",
        "Law firms’ summaries, July 2026",
        AS_OF,
    ),
    Fact(
        "What counts as a model (United States)",
        "SR 26-2 / OCC 2026-13 (17 April 2026, formerly SR 11-7) is described as leaving deterministic rules out and "
        "taking non-generative machine learning in, by materiality: exposure and purpose.",
        "Law and audit firms’ summaries of SR 26-2, 2026",
        AS_OF,
    ),
    Fact(
        "Inventory (Canada)",
        "Guideline E-23, final on 11 September 2025 and effective on 1 May 2027, asks for an inventory of models "
        "across the enterprise. The columns of the export follow its draft appendix.",
        "OSFI, Guideline E-23 (2027)",
        AS_OF,
    ),
)

# What an owner can classify a use as; which one holds, and why, is the owner's word.
AI_ACT_CLASSES = {
    "excluded-fraud": "Not high-risk: detection of financial fraud, which Annex III 5(b) excepts",
    "not-high-risk": "Not high-risk for another reason",
    "high-risk": "High-risk (Annex III)",
    "prohibited": "Prohibited practice (Article 5)",
    "out-of-scope": "Outside the regulation: no use in the Union, or no AI system",
    "undetermined": "Not determined yet",
}
