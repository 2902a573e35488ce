"""What people fill in. The services judge it; a form only reads it and keeps what was typed."""

from collections.abc import Mapping
from typing import Any

from django import forms

from governance.approvals import MEANINGS
from governance.webhooks import events
from registry import inventory, prose, regulations
from registry.refusals import Refusal

CHOICES = {"approve": "Approve", "reject": "Reject"}


_MOMENT = forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")


class Form(forms.Form):
    """A form whose labels end without a colon."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"label_suffix": "", **kwargs})

    def take(self, refusal: Refusal) -> None:
        """Show each reason of a refusal at the field that it points to."""
        for reason in refusal.reasons:
            name = reason.get("pointer", "").removeprefix("/")
            self.add_error(name if name in self.fields else None, reason["detail"])


def _reason(label: str = "Reason (kept in the audit trail)") -> forms.CharField:
    return forms.CharField(label=label, max_length=2000, widget=forms.Textarea(attrs={"rows": 3}))


class BandForm(Form):
    """One decision band; an empty row is no band."""

    name = forms.CharField(label="Band", max_length=40)
    start = forms.FloatField(
        label="From score", min_value=0, max_value=1, widget=forms.NumberInput(attrs={"step": "any"})
    )
    action = forms.CharField(label="Action", max_length=80, required=False)


Bands = forms.formset_factory(BandForm, extra=2, max_num=8, absolute_max=20)


class RequestForm(Form):
    """Why a version should become champion."""

    reason = _reason()


class SignatureForm(Form):
    """A yes or no with its meaning and reason, and the password once more."""

    request = forms.UUIDField(widget=forms.HiddenInput)
    outcome = forms.ChoiceField(label="Decision", choices=list(CHOICES.items()), widget=forms.RadioSelect)
    meaning = forms.ChoiceField(
        label="Meaning of the signature", choices=[("", "Choose …"), *((text, text) for text in MEANINGS.values())]
    )
    reason = _reason()
    password = forms.CharField(
        label="Your password", widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}), strip=False
    )

    def clean(self) -> dict[str, Any]:
        """Refuse a meaning that says the opposite of the decision."""
        given = super().clean() or self.cleaned_data
        meaning = given.get("meaning")
        if meaning and "outcome" in given and meaning != MEANINGS[given["outcome"]]:
            self.add_error("meaning", "This meaning says the opposite of the decision above. Make them agree.")
        return given


class OrderForm(Form):
    """Why a version should serve, or serve again."""

    reason = _reason()


class PeriodForm(Form):
    """Of which time a dossier tells; an end left out is now."""

    start = forms.DateTimeField(label="From (UTC)", widget=_MOMENT)
    until = forms.DateTimeField(label="Until, not included (UTC)", widget=_MOMENT, required=False)


class WebhookForm(Form):
    """Who is told what, and where."""

    name = forms.CharField(label="Name", max_length=63, help_text="Letters, digits, dots, underscores and hyphens.")
    kind = forms.ChoiceField(
        label="Kind",
        choices=[
            ("webhook", "Events, as MLflow sends them"),
            ("github-status", "Commit status at GitHub"),
            ("gitlab-status", "Commit status at GitLab"),
        ],
        help_text="A commit status tells the gate of a version; its address has {sha} where the commit goes.",
    )
    url = forms.CharField(label="Address", max_length=2000)
    tells = forms.MultipleChoiceField(
        label="Events",
        choices=[(name, name) for name in events.NAMES],
        required=False,
        widget=forms.SelectMultiple(attrs={"size": 8}),
        help_text="Of a commit status they are given.",
    )
    model = forms.CharField(label="Only about this model", max_length=120, required=False)
    secret = forms.CharField(
        label="Secret",
        max_length=1000,
        required=False,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        help_text="It signs each event, or is the token for a commit status. Nobody can read it again.",
    )


class Lines(forms.CharField):
    """A list of texts, one on each line."""

    widget = forms.Textarea(attrs={"rows": 2})

    def prepare_value(self, value: Any) -> Any:
        """Show a list as lines."""
        return "\n".join(value) if isinstance(value, list) else value

    def clean(self, value: Any) -> list[str]:  # type: ignore[override]
        """Return the lines that hold something."""
        return [line.strip() for line in (super().clean(value) or "").splitlines() if line.strip()]


def _text(label: str, most: int = inventory.LONGEST_TEXT, rows: int = 2) -> forms.CharField:
    return forms.CharField(label=label, max_length=most, required=False, widget=forms.Textarea(attrs={"rows": rows}))


def _name(label: str) -> forms.CharField:
    return forms.CharField(label=label, max_length=inventory.LONGEST_NAME, required=False)


class InventoryForm(Form):
    """What the inventory says of a model beside what is computed."""

    developer = _name("Developer")
    validator = _name("Validator, independent of the developer")
    business_purpose = _text("Business purpose")
    is_model = forms.TypedChoiceField(
        label="Does it count as a model?",
        choices=[("", "Not evidenced"), ("True", "Yes"), ("False", "No")],
        coerce=lambda chosen: chosen == "True",
        empty_value=None,
        required=False,
    )
    is_model_reason = _text("Why")
    origin = forms.ChoiceField(
        label="Vendor or own", choices=[("", "Not evidenced"), *inventory.ORIGINS.items()], required=False
    )
    vendor = _name("Vendor")
    dependencies = Lines(label="Upstream models and feeds, one on a line", required=False)
    jurisdictions = Lines(label="Jurisdictions, one code on a line (EU, DE, US-NY)", required=False)
    ai_act_class = forms.ChoiceField(
        label="AI Act classification",
        choices=[("", "Not evidenced"), *regulations.AI_ACT_CLASSES.items()],
        required=False,
    )
    ai_act_reason = _text("Why it is classified so")
    next_review = forms.DateField(
        label="Next review", required=False, widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    )


class ProseForm(Form):
    """What the author says of a version in its card."""

    intended_use = _text(prose.PARTS["intended_use"], prose.LONGEST, 3)
    limits = _text(prose.PARTS["limits"], prose.LONGEST, 3)
    out_of_scope = _text(prose.PARTS["out_of_scope"], prose.LONGEST, 3)
    ethics = _text(prose.PARTS["ethics"], prose.LONGEST, 3)


def bands(data: Mapping[str, Any] | None, initial: list[dict[str, Any]]) -> Any:
    """Return the rows of bands, filled from what was sent or else with defaults."""
    return Bands(data, initial=None if data else initial, prefix="bands", auto_id="request-%s")


def banded(rows: Any) -> list[dict[str, Any]]:
    """Return what the filled rows say, in the order of their scores."""
    filled = [row.cleaned_data for row in rows if row.cleaned_data.get("name")]
    made = [{"name": row["name"], "from": row["start"], "action": row["action"]} for row in filled]
    return sorted(made, key=lambda band: band["from"])
