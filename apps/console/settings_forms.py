"""The cards of a dataset's settings: each a form of its own, saved by itself."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from django import forms
from django.utils.translation import gettext_lazy as _
from pydantic import ValidationError

from apps.annotation.recompute import recompute_dataset
from apps.console.creation_words import FIELD_TYPES, PROPERTY_TYPES
from apps.console.studio_form import LinesField
from apps.core.errors import InvalidError
from apps.datasets.models import Dataset, Field, MetadataProperty, QueueOrder, VectorSettings
from apps.datasets.services import (
    create_property,
    create_vector_settings,
    delete_property,
    delete_vector_settings,
    update_dataset,
    update_field,
    update_property,
    update_vector_settings,
)
from apps.datasets.settings import (
    ChatFieldChange,
    FloatProperty,
    IntegerProperty,
    TermsProperty,
    TextFieldChange,
)
from apps.organizations.models import Membership
from apps.quality.review import configure_review, review_settings
from apps.records.services import forget_property, index_property

LARGEST: Final = 2_147_483_647
ORDERS: Final = (
    (QueueOrder.OLDEST_FIRST, _("Oldest first")),
    (QueueOrder.LEAST_CERTAIN_FIRST, _("Least certain first")),
)


class CardForm(forms.Form):
    """A form about the dataset, or about ``part`` of it; ``save`` raises ``DomainError``."""

    part: Any = None

    def save(self, dataset: Dataset, member: Membership) -> None:
        raise NotImplementedError


class _DatasetForm(CardForm):
    """Fields that are columns of the dataset."""

    def save(self, dataset: Dataset, member: Membership) -> None:
        update_dataset(dataset=dataset, changes=self.cleaned_data, author=member)


class NameForm(_DatasetForm):
    name = forms.CharField(label=_("Name"), max_length=200)


class ExtraForm(_DatasetForm):
    allow_extra_metadata = forms.BooleanField(
        label=_("Records may carry metadata that is not declared"), required=False
    )


class GuidelinesForm(CardForm):
    guidelines = LinesField(label=_("Guidelines"), max_length=200_000)

    def save(self, dataset: Dataset, member: Membership) -> None:
        text = self.cleaned_data["guidelines"] or None
        update_dataset(dataset=dataset, changes={"guidelines": text}, author=member)


class OverlapForm(CardForm):
    min_submitted = forms.IntegerField(
        label=_("Answers a record needs"),
        min_value=1,
        max_value=32_767,
        help_text=_("Records that have enough become completed, others open again."),
    )
    queue_order = forms.ChoiceField(label=_("Records come"), choices=ORDERS)

    def save(self, dataset: Dataset, member: Membership) -> None:
        before = dataset.min_submitted
        changed = update_dataset(dataset=dataset, changes=self.cleaned_data, author=member)
        if changed.min_submitted != before:
            recompute_dataset(dataset=changed, created_by=member)


class QuotaForm(_DatasetForm):
    daily_quota = forms.IntegerField(
        label=_("Answers a day, each person"), min_value=1, max_value=LARGEST, required=False
    )
    total_quota = forms.IntegerField(
        label=_("Answers in all, each person"), min_value=1, max_value=LARGEST, required=False
    )


class ReviewForm(CardForm):
    random_percent = forms.FloatField(
        label=_("Checked at random, in % of what is completed"), min_value=0, max_value=100
    )
    least_certain = forms.FloatField(
        label=_("A label is uncertain below"),
        min_value=0,
        max_value=1,
        help_text=_("The probability that it is right, judged by who gave which answers."),
    )
    blind = forms.BooleanField(label=_("Reviewers do not see who answered"), required=False)

    def save(self, dataset: Dataset, member: Membership) -> None:
        configure_review(dataset=dataset, **self.cleaned_data)


class FieldForm(CardForm):
    title = forms.CharField(label=_("Title"), max_length=500)

    def save(self, dataset: Dataset, member: Membership) -> None:
        settings = None
        if "use_markdown" in self.cleaned_data:
            kind = TextFieldChange if self.part.type == "text" else ChatFieldChange
            markdown = self.cleaned_data["use_markdown"]
            settings = kind(type=self.part.type, use_markdown=markdown)
        update_field(field=self.part, title=self.cleaned_data["title"], settings=settings)


class MarkdownFieldForm(FieldForm):
    use_markdown = forms.BooleanField(label=_("Shown as Markdown"), required=False)


class PropertyForm(CardForm):
    title = forms.CharField(label=_("Title"), max_length=500)
    visible_for_annotators = forms.BooleanField(label=_("Annotators see it"), required=False)
    remove = forms.BooleanField(
        label=_("Forget it: records keep their values, nobody filters by them"), required=False
    )

    def save(self, dataset: Dataset, member: Membership) -> None:
        data = dict(self.cleaned_data)
        if data.pop("remove"):
            delete_property(property=self.part)
            forget_property(dataset=dataset, number=self.part.number)
        else:
            update_property(property=self.part, **data)


class NewPropertyForm(CardForm):
    name = forms.CharField(label=_("Name in the records"), max_length=200)
    title = forms.CharField(label=_("Title"), max_length=500)
    type = forms.ChoiceField(
        label=_("Kind"),
        choices=[("terms", _("Terms")), ("integer", _("Integer")), ("float", _("Number"))],
    )
    visible_for_annotators = forms.BooleanField(label=_("Annotators see it"), required=False)

    def save(self, dataset: Dataset, member: Membership) -> None:
        data = dict(self.cleaned_data)
        kinds: dict[str, Any] = {
            "terms": TermsProperty,
            "integer": IntegerProperty,
            "float": FloatProperty,
        }
        type = data.pop("type")
        made = create_property(dataset=dataset, settings=kinds[type](type=type), **data)
        index_property(property=made)


class VectorForm(CardForm):
    title = forms.CharField(label=_("Title"), max_length=500)
    remove = forms.BooleanField(
        label=_("Delete it, with the vectors of all records"), required=False
    )

    def save(self, dataset: Dataset, member: Membership) -> None:
        if self.cleaned_data["remove"]:
            delete_vector_settings(settings=self.part)
        else:
            update_vector_settings(settings=self.part, title=self.cleaned_data["title"])


class NewVectorForm(CardForm):
    name = forms.CharField(label=_("Name in the records"), max_length=200)
    title = forms.CharField(label=_("Title"), max_length=500)
    dimensions = forms.IntegerField(label=_("Dimensions"), min_value=1, max_value=16_000)

    def save(self, dataset: Dataset, member: Membership) -> None:
        try:
            create_vector_settings(dataset=dataset, **self.cleaned_data)
        except ValidationError as error:
            raise InvalidError(str(error)) from error


@dataclass
class Card:
    """``id`` names it in the page and in what is sent."""

    id: str
    title: Any
    form: CardForm
    help: Any = ""
    button: Any = field(default_factory=lambda: _("Save"))


def cards_of(tab: str, dataset: Dataset, data: Any = None) -> list[Card]:
    """The cards of a tab; the one that ``data`` names is bound to it."""
    cards = _CARDS[tab](dataset) if tab in _CARDS else []
    sent = data.get("card", "") if data is not None else ""
    for card in cards:
        form = card.form
        bound = type(form)(data if card.id == sent else None, initial=form.initial, prefix=card.id)
        bound.part = form.part
        card.form = bound
    return cards


def _general(dataset: Dataset) -> list[Card]:
    return [
        Card("name", _("Name"), _of(NameForm, dataset)),
        Card("extra", _("Metadata that is not declared"), _of(ExtraForm, dataset)),
    ]


def _guidelines(dataset: Dataset) -> list[Card]:
    form = GuidelinesForm(initial={"guidelines": dataset.guidelines or ""})
    return [Card("guidelines", _("Guidelines"), form)]


def _distribution(dataset: Dataset) -> list[Card]:
    return [
        Card("overlap", _("Distribution"), _of(OverlapForm, dataset)),
        Card(
            "quota",
            _("Quotas"),
            _of(QuotaForm, dataset),
            _("Empty is no limit. A person’s own quota, set among the members, goes first."),
        ),
    ]


def _review(dataset: Dataset) -> list[Card]:
    form = _of(ReviewForm, review_settings(dataset.id))
    return [Card("review", _("Review rules"), form)]


def _fields(dataset: Dataset) -> list[Card]:
    rows: Iterable[Any] = Field.objects.filter(dataset=dataset).in_order()
    return [
        Card(str(row.id), row.name, _of_field(row), FIELD_TYPES[f"field.{row.type}"])
        for row in rows
    ]


def _of_field(row: Field) -> CardForm:
    if "use_markdown" not in row.settings:
        return _of(FieldForm, row)
    form = _of(MarkdownFieldForm, row)
    form.initial["use_markdown"] = row.settings["use_markdown"]
    return form


def _metadata(dataset: Dataset) -> list[Card]:
    rows: Iterable[Any] = MetadataProperty.objects.filter(dataset=dataset).in_order()
    cards = [
        Card(str(row.id), row.name, _of(PropertyForm, row), PROPERTY_TYPES[f"metadata.{row.type}"])
        for row in rows
    ]
    new = NewPropertyForm(initial={"visible_for_annotators": True})
    return [*cards, Card("new", _("Declare a metadata key"), new, button=_("Declare"))]


def _vectors(dataset: Dataset) -> list[Card]:
    rows: Iterable[Any] = VectorSettings.objects.filter(dataset=dataset).in_order()
    cards = [
        Card(str(row.id), row.name, _of(VectorForm, row), f"{_('Dimensions')}: {row.dimensions}")
        for row in rows
    ]
    return [*cards, Card("new", _("Add a vector"), NewVectorForm(), button=_("Add"))]


_CARDS: Final = {
    "general": _general,
    "fields": _fields,
    "guidelines": _guidelines,
    "metadata": _metadata,
    "vectors": _vectors,
    "distribution": _distribution,
    "review": _review,
}


def _of(kind: type[CardForm], row: Any) -> CardForm:
    """The form with what the row has now."""
    names = [name for name in kind.base_fields if hasattr(row, name)]
    form = kind(initial={name: getattr(row, name) for name in names})
    form.part = row
    return form
