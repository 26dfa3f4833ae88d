"""The form of a provider: its address, its key (never shown again), limits, models and prices."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final
from urllib.parse import urlsplit

from django import forms
from django.utils.translation import gettext_lazy as _

from apps.llms.budgets import MOST_TOKENS, MOST_USD, Standing
from apps.llms.models import USUAL_BATCH_DISCOUNT, ModelKind, Provider
from apps.llms.services import ModelInput, PriceInput

SPARE: Final = 2  # empty rows for further models
LARGEST: Final = 2_000_000_000
_PRINTABLE: Final = r"^[\x21-\x7e]*$"


class ProviderForm(forms.Form):
    """``provider`` is the one that is changed, None for a new one."""

    name = forms.CharField(label=_("Name"), max_length=100)
    base_url = forms.CharField(
        label=_("Address"),
        max_length=2000,
        help_text=_("Of an API that speaks OpenAI’s protocol, e.g. https://api.example.com/v1"),
    )
    api_key = forms.RegexField(
        _PRINTABLE,
        label=_("Key"),
        max_length=1000,
        required=False,
        help_text=_("Stored sealed, and never shown again."),
    )
    forget_key = forms.BooleanField(label=_("Forget the key"), required=False)
    enabled = forms.BooleanField(label=_("In use"), required=False)
    concurrency = forms.IntegerField(label=_("Calls at once"), min_value=1, max_value=1000)
    rpm = forms.IntegerField(
        label=_("Calls a minute"), min_value=1, max_value=LARGEST, required=False
    )
    tpm = forms.IntegerField(
        label=_("Tokens a minute"), min_value=1, max_value=LARGEST, required=False
    )
    timeout = forms.IntegerField(label=_("Longest wait, in seconds"), min_value=1, max_value=600)

    def clean_base_url(self) -> str:
        url = str(self.cleaned_data["base_url"]).strip().rstrip("/")
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.netloc or parts.query:
            raise forms.ValidationError(
                _("An address begins with https:// and has no question mark.")
            )
        return url


class ModelForm(forms.Form):
    """One of a provider's models; a row without a name is none."""

    name = forms.RegexField(_PRINTABLE, label=_("Model"), max_length=200, required=False)
    kind = forms.ChoiceField(label=_("Kind"), choices=ModelKind.choices, required=False)
    input = forms.DecimalField(
        label=_("$ a million read"),
        min_value=0,
        max_digits=14,
        decimal_places=6,
        required=False,
        localize=True,
    )
    cached_input = forms.DecimalField(
        label=_("$ a million read again"),
        min_value=0,
        max_digits=14,
        decimal_places=6,
        required=False,
        localize=True,
    )
    output = forms.DecimalField(
        label=_("$ a million written"),
        min_value=0,
        max_digits=14,
        decimal_places=6,
        required=False,
        localize=True,
    )
    batch_discount = forms.IntegerField(
        label=_("Batch discount, %"),
        min_value=0,
        max_value=100,
        required=False,
        initial=USUAL_BATCH_DISCOUNT,
    )

    def as_input(self, known: Mapping[str, ModelInput]) -> ModelInput:
        """The model; limits of its own, which the form does not show, stay."""
        data = self.cleaned_data
        before = known.get(data["name"])
        price = PriceInput(
            input=data["input"] or Decimal(0),
            output=data["output"] or Decimal(0),
            cached_input=data["cached_input"],
            batch_discount=data["batch_discount"],
        )
        is_priced = any(data[name] is not None for name in ("input", "output", "cached_input"))
        return ModelInput(
            data["name"],
            data["kind"] or ModelKind.CHAT,
            before.rpm if before else None,
            before.tpm if before else None,
            before.concurrency if before else None,
            [price] if is_priced else None,
        )


class BudgetForm(forms.Form):
    """What the organization may spend a month; empty is no limit."""

    usd = forms.DecimalField(
        label=_("USD a month"),
        min_value=0,
        max_value=MOST_USD,
        decimal_places=8,
        required=False,
        localize=True,
    )


class WorkspaceBudgetForm(BudgetForm):
    """What a workspace may spend a month, in money and in tokens."""

    tokens = forms.IntegerField(
        label=_("Tokens a month"),
        min_value=0,
        max_value=MOST_TOKENS,
        required=False,
        localize=True,
    )


class JobBudgetForm(WorkspaceBudgetForm):
    """What a job may spend in all."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["usd"].label = _("Stop at, in USD")
        self.fields["tokens"].label = _("Stop at, in tokens")


def limits_of(standing: Standing) -> dict[str, Any]:
    """The limits as a form begins with them."""
    usd = None if standing.usd is None else standing.usd.normalize()
    return {"usd": usd, "tokens": standing.tokens}


def model_forms(data: Any, rows: Sequence[dict[str, Any]]) -> list[ModelForm]:
    """A form for each model, and empty ones."""
    if data is not None:
        count = min(sum(1 for name in data if name.endswith("-name") and name[:1] == "m"), 203)
        return [ModelForm(data, prefix=f"m{n}") for n in range(count)]
    filled = [ModelForm(initial=row, prefix=f"m{n}") for n, row in enumerate(rows)]
    return filled + [ModelForm(prefix=f"m{len(rows) + n}") for n in range(SPARE)]


def initial_of(provider: Provider) -> dict[str, Any]:
    """Everything but the key."""
    names = ("name", "base_url", "enabled", "concurrency", "rpm", "tpm", "timeout")
    return {name: getattr(provider, name) for name in names}
