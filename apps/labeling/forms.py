"""Forms that are not answers."""

from typing import Any

from allauth.account.adapter import get_adapter
from django import forms
from django.core.validators import MinValueValidator
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from apps.users.models import User


class QuotaForm(forms.Form):
    """How many answers are asked for, a day and in all; empty is no quota of one's own."""

    daily_quota = forms.IntegerField(label=_("A day"), required=False, max_value=2_147_483_647)
    total_quota = forms.IntegerField(label=_("In all"), required=False, max_value=2_147_483_647)

    def __init__(self, *args: Any, least: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.validators.append(MinValueValidator(least))


class MemberLoginForm(forms.Form):
    """For members without e-mail: organization, username and password.

    One message for every mistake, and as many tries as with an e-mail: the answer tells nobody
    which organizations or members exist.
    """

    organization = forms.CharField(label=_("Organization"), max_length=63, strip=True)
    username = forms.CharField(label=_("Username"), max_length=200, strip=True)
    password = forms.CharField(label=_("Password"), max_length=500, strip=False)

    def __init__(self, *args: Any, request: HttpRequest, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.request = request
        self.user: User | None = None

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if self.errors:
            return cleaned
        self.user = get_adapter().authenticate(
            self.request,
            organization=cleaned["organization"].lower(),
            username=cleaned["username"],
            password=cleaned["password"],
        )
        if self.user is None:
            raise forms.ValidationError(_("These three don’t match."), code="mismatch")
        return cleaned
