"""Signing in: a brake on guessing passwords."""

from typing import Any

from django import forms
from django.contrib.auth.forms import AuthenticationForm
from django.utils import timezone
from django.utils.crypto import salted_hmac

from registry import people
from registry.models import User
from registry.refusals import Refusal, TooMany


class SignIn(AuthenticationForm):
    """Username and password; who guesses wrong too often from one address has to wait, and reads so."""

    wait = ""

    def clean(self) -> dict[str, Any]:
        """Refuse a wrong password, and every password after several wrong ones."""
        user = User.objects.filter(username=self.cleaned_data.get("username", "")).first()
        if user and user.has_usable_password():
            address = self.request.META.get("REMOTE_ADDR", "") if self.request else ""
            source = salted_hmac("registry.forms.SignIn", address, algorithm="sha256").hexdigest()
            given = self.cleaned_data.get("password", "")
            try:
                people.demand_password(user=user, password=given, source=source, now=timezone.now())
            except Refusal as refusal:
                self.wait = refusal.detail if isinstance(refusal, TooMany) else ""
                raise forms.ValidationError(refusal.detail) from refusal
        return super().clean()
