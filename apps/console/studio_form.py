"""The form of the prompt studio: a prompt as it is being written, and the orders made of it."""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from django import forms
from django.utils.translation import gettext_lazy as _

from apps.datasets.models import Dataset
from apps.datasets.schema import QuestionRule
from apps.jobs.models import Job
from apps.llms.models import ModelKind, Provider
from apps.organizations.models import Membership
from apps.pipelines.models import PromptVersion
from apps.pipelines.orders import Budget, RunOrder
from apps.pipelines.prompts import DEFAULT
from apps.pipelines.runs import RunSpec
from apps.pipelines.selection import Sample, Selection

TRIED: Final = 5  # records of a preview
SEEDS: Final = 2**31
PENDING: Final = "status=pending"
ANSWERED: Final = "status=completed"

STRATEGIES: Final = (
    ("nearest", _("most alike")),
    ("random", _("by chance")),
    ("errors", _("where models erred")),
)
PICKS: Final = (
    ("answered", _("answered by people")),
    ("filter", _("of the run’s filter")),
    ("errors", _("where models erred")),
    ("uncertain", _("least certain")),
    ("disagreement", _("most disputed")),
    ("longest", _("longest")),
)


class LinesField(forms.CharField):
    """A text with the line ends that are stored, however a browser sends them."""

    def __init__(self, **values: Any) -> None:
        super().__init__(required=False, strip=False, **values)

    def clean(self, value: Any) -> str:
        text = str(super().clean(value))
        return text.replace("\r\n", "\n").replace("\r", "\n")


class StudioForm(forms.Form):
    """``model`` is ``<provider id>/<model>``; ``pick`` says which records the preview takes."""

    model = forms.ChoiceField(label=_("Model"), required=False)
    guidelines = LinesField(label=_("Guideline"), max_length=200_000)
    template = LinesField(label=_("Prompt"), max_length=50_000)
    shots = forms.IntegerField(label=_("Examples"), min_value=0, max_value=50)
    strategy = forms.ChoiceField(label=_("chosen"), choices=STRATEGIES)
    temperature = forms.FloatField(label=_("Temperature"), min_value=0, max_value=2)
    n = forms.IntegerField(label=_("Answers a record"), min_value=1, max_value=20)
    rationale = forms.BooleanField(label=_("Ask why"), required=False)
    confidence = forms.BooleanField(label=_("Ask how sure"), required=False)
    pick = forms.ChoiceField(label=_("Records"), choices=PICKS)
    seed = forms.IntegerField(min_value=0, max_value=SEEDS - 1, required=False)
    filter = forms.CharField(label=_("Filter"), max_length=8_000, required=False)
    max_usd = forms.DecimalField(
        label=_("Budget in USD"), min_value=0, max_digits=14, decimal_places=8, required=False
    )
    note = forms.CharField(label=_("Note"), max_length=2_000, required=False)
    parent = forms.UUIDField(required=False)

    def __init__(
        self, *args: Any, rule: QuestionRule, models: Sequence[tuple[str, str]], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.rule = rule
        field: Any = self.fields["model"]
        field.choices = [("", "–"), *models]

    def clean_max_usd(self) -> Any:
        return self.cleaned_data["max_usd"] or None

    @property
    def own_template(self) -> str:
        """As it is stored: nothing for the one that everybody starts with."""
        text = str(self.cleaned_data["template"])
        return "" if text.strip() == DEFAULT.strip() else text

    @property
    def provider(self) -> tuple[UUID | None, str]:
        id, _slash, name = self.cleaned_data["model"].partition("/")
        return (UUID(id), name) if id else (None, "")

    @property
    def params(self) -> dict[str, Any]:
        names = ("temperature", "n", "rationale", "confidence")
        return {name: self.cleaned_data[name] for name in names}

    @property
    def selection(self) -> Selection:
        return Selection(filter=self.cleaned_data["filter"])

    def trial(self, count: int = TRIED) -> RunOrder:
        """The preview: the words as they stand, saved or not."""
        pick, seed = self.cleaned_data["pick"], self.cleaned_data["seed"] or 0
        texts = {"answered": ANSWERED, "filter": self.cleaned_data["filter"]}
        strategy = "random" if pick in texts else pick
        sample = Sample(n=count, seed=seed, strategy=strategy)
        return self._order(
            selection=Selection(filter=texts.get(pick, ""), sample=sample),
            guidelines=self.cleaned_data["guidelines"],
            dry_run=count,
        )

    def run(self) -> RunOrder:
        """All records of the filter, with the dataset's own guideline."""
        budget = Budget(max_usd=self.cleaned_data["max_usd"])
        return self._order(selection=self.selection, budget=budget)

    def _order(self, **values: Any) -> RunOrder:
        provider_id, model = self.provider
        return RunOrder(
            recipe="suggest",
            question=self.rule.name,
            provider_id=provider_id,
            model=model or None,
            template=self.own_template,
            shots=self.cleaned_data["shots"],
            strategy=self.cleaned_data["strategy"],
            params=self.params,
            **values,
        )


def models_of(member: Membership) -> list[tuple[str, str]]:
    """The models that may be chosen. Two queries."""
    providers = Provider.objects.visible_to(member).filter(enabled=True).order_by("name")
    return [
        (f"{provider.id}/{model.name}", f"{model.name} · {provider.name}")
        for provider in providers.prefetch_related("models")
        for model in sorted(provider.models.all(), key=lambda one: one.name)
        if model.kind == ModelKind.CHAT
    ]


# --- What the form begins with -------------------------------------------------------------------
def blank(dataset: Dataset, models: Sequence[tuple[str, str]]) -> dict[str, Any]:
    return {
        "model": models[0][0] if models else "",
        "guidelines": dataset.guidelines or "",
        "template": DEFAULT,
        "shots": 4,
        "strategy": "nearest",
        "temperature": 0,
        "n": 1,
        "rationale": True,
        "confidence": True,
        "pick": "answered",
        "seed": 0,
        "filter": PENDING,
        "max_usd": 5,
    }


def of_version(version: PromptVersion) -> dict[str, Any]:
    """All but the guideline, which is the dataset's."""
    return {
        **_words(version.template, version.shots, version.strategy),
        **_asked(version.params, version.asking),
        "model": f"{version.provider_id}/{version.model}" if version.provider_id else "",
        "note": version.note,
        "parent": version.id,
    }


def of_preview(job: Job) -> dict[str, Any]:
    """The words that a dry run was made with."""
    spec = RunSpec.model_validate(job.params)
    sample = spec.selection.sample
    strategy = sample.strategy if sample else "random"
    by_chance = "answered" if spec.selection.filter == ANSWERED else "filter"
    return {
        **_words(spec.prompt.template, spec.prompt.shots, spec.prompt.strategy),
        **_asked(spec.params, spec.asking.model_dump()),
        "guidelines": spec.prompt.guidelines,
        "model": f"{spec.provider_id}/{spec.model}" if spec.provider_id else "",
        "pick": by_chance if strategy == "random" else strategy,
        "seed": sample.seed if sample else 0,
    }


def _words(template: str, shots: int, strategy: str) -> dict[str, Any]:
    return {"template": template or DEFAULT, "shots": shots, "strategy": strategy}


def _asked(params: Mapping[str, Any], asking: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "temperature": asking.get("temperature", 0),
        "n": asking.get("n", 1),
        "rationale": params.get("rationale", False),
        "confidence": params.get("confidence", True),
    }
