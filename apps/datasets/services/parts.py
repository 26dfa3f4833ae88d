"""Fields, questions, metadata properties and vector settings."""

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, TypeVar

from django.db import IntegrityError, transaction
from django.utils.translation import gettext
from pydantic import BaseModel

from apps.core.errors import ConflictError, InvalidError, NotFoundError
from apps.datasets.models import (
    Dataset,
    DatasetStatus,
    Field,
    MetadataProperty,
    Question,
    VectorSettings,
)
from apps.datasets.services.datasets import lock_dataset
from apps.datasets.settings import SpanQuestion, changed
from apps.events.log import changes, emit

MAX_VECTORS: Final = 5
MAX_PROPERTY_NUMBER: Final = 32_767

_Part = Field | Question | MetadataProperty | VectorSettings
_PartType = TypeVar("_PartType", Field, Question, MetadataProperty, VectorSettings)


# --- Fields -----------------------------------------------------------------------------------
@transaction.atomic
def create_field(
    *, dataset: Dataset, name: str, title: str, settings: BaseModel, required: bool = False
) -> Field:
    """Add a field to a draft. ``settings`` is one of ``settings.FieldSettings``.

    Raises ``InvalidError`` for a published dataset, ``ConflictError`` for a used name.
    """
    dataset = _lock_draft(dataset, "Field cannot be created for a published dataset")
    with _unique_part_name(gettext("Field"), name, dataset):
        field = Field.objects.create(
            dataset=dataset,
            name=name,
            title=title,
            required=required,
            settings=settings.model_dump(mode="json"),
        )
    _emit_part("field.created", field)
    return field


@transaction.atomic
def update_field(
    *, field: Field, title: str | None = None, settings: BaseModel | None = None
) -> Field:
    """Change title or settings (``settings.FieldChange``); None leaves them.

    Raises ``InvalidError`` when the type would change.
    """
    field = _lock_part(field)
    if title is not None:
        field.title = title
    if settings is not None:
        field.settings = changed(field.settings, settings)
    field.save()
    _emit_part("field.updated", field)
    return field


@transaction.atomic
def delete_field(*, field: Field) -> None:
    """Take a field out of a draft. Raises ``InvalidError`` for a published dataset."""
    _lock_draft(field.dataset, "Fields cannot be deleted for a published dataset")
    Field.objects.filter(pk=field.pk).delete()
    _emit_part("field.deleted", field)


# --- Questions --------------------------------------------------------------------------------
@transaction.atomic
def create_question(
    *,
    dataset: Dataset,
    name: str,
    title: str,
    settings: BaseModel,
    description: str | None = None,
    required: bool = False,
) -> Question:
    """Add a question to a draft. ``settings`` is one of ``settings.QuestionSettings``.

    Raises ``InvalidError`` for a published dataset or a span question without a field of its
    own, ``ConflictError`` for a used name.
    """
    dataset = _lock_draft(dataset, "Question cannot be created for a published dataset")
    if isinstance(settings, SpanQuestion):
        _check_span_field(dataset, settings.field)
    with _unique_part_name(gettext("Question"), name, dataset):
        question: Question = Question.objects.create(
            dataset=dataset,
            name=name,
            title=title,
            description=description,
            required=required,
            settings=settings.model_dump(mode="json"),
        )
    _emit_part("question.created", question)
    return question


def _check_span_field(dataset: Dataset, name: str) -> None:
    if not Field.objects.filter(dataset=dataset, name=name).exists():
        raise InvalidError(gettext("'%s' is not a valid field name.") % name)
    for question in Question.objects.filter(dataset=dataset, settings__type="span"):
        if question.settings["field"] == name:
            raise InvalidError(
                gettext("'%(field)s' is already used by span question '%(question)s'.")
                % {"field": name, "question": question.name}
            )


@transaction.atomic
def update_question(*, question: Question, changes: Mapping[str, Any]) -> Question:
    """Change ``title``, ``description`` or ``settings`` (``settings.QuestionChange``).

    Raises ``InvalidError`` when type or set of options would change.
    """
    question = _lock_part(question)
    for name in ("title", "description"):
        if name in changes:
            setattr(question, name, changes[name])
    if "settings" in changes:
        question.settings = changed(question.settings, changes["settings"])
    question.save()
    _emit_part("question.updated", question)
    return question


@transaction.atomic
def delete_question(*, question: Question) -> None:
    """Take a question out of a draft. Raises ``InvalidError`` for a published dataset."""
    _lock_draft(question.dataset, "Questions cannot be deleted for a published dataset")
    Question.objects.filter(pk=question.pk).delete()
    _emit_part("question.deleted", question)


# --- Metadata properties ----------------------------------------------------------------------
@transaction.atomic
def create_property(
    *,
    dataset: Dataset,
    name: str,
    title: str,
    settings: BaseModel,
    visible_for_annotators: bool = True,
) -> MetadataProperty:
    """Declare a metadata key, also later. ``settings`` is one of ``settings.PropertySettings``.

    The caller makes the values that records hold already filterable
    (``records.services.index_property``). Raises ``ConflictError`` for a used name.
    """
    dataset = lock_dataset(dataset, against_records=True)
    number = dataset.last_property_number + 1
    if number > MAX_PROPERTY_NUMBER:
        raise InvalidError(
            gettext("A dataset cannot declare more metadata properties in its life.")
        )
    with _unique_part_name(gettext("Metadata property"), name, dataset):
        property = MetadataProperty.objects.create(
            dataset=dataset,
            number=number,
            name=name,
            title=title,
            settings=settings.model_dump(mode="json"),
            visible_for_annotators=visible_for_annotators,
        )
    Dataset.objects.filter(pk=dataset.pk).update(last_property_number=number)
    _emit_part("metadata_property.created", property)
    return property


@transaction.atomic
def update_property(
    *,
    property: MetadataProperty,
    title: str | None = None,
    visible_for_annotators: bool | None = None,
) -> MetadataProperty:
    """Change title or visibility; None leaves them. The settings never change."""
    property = _lock_part(property)
    if title is not None:
        property.title = title
    if visible_for_annotators is not None:
        property.visible_for_annotators = visible_for_annotators
    property.save()
    _emit_part("metadata_property.updated", property)
    return property


@transaction.atomic
def delete_property(*, property: MetadataProperty) -> None:
    """Forget a declared key; records keep their values, its number is not used again.

    The caller drops the filterable values as well (``records.services.forget_property``).
    """
    lock_dataset(property.dataset)
    MetadataProperty.objects.filter(pk=property.pk).delete()
    _emit_part("metadata_property.deleted", property)


# --- Vectors ----------------------------------------------------------------------------------
@transaction.atomic
def create_vector_settings(
    *, dataset: Dataset, name: str, title: str, dimensions: int
) -> VectorSettings:
    """Let records carry a vector of ``dimensions`` numbers, also later.

    Raises ``InvalidError`` for a sixth one, ``ConflictError`` for a used name.
    """
    dataset = lock_dataset(dataset)
    if VectorSettings.objects.filter(dataset=dataset).count() >= MAX_VECTORS:
        raise InvalidError(
            gettext("The maximum number of vector settings (%d) is reached") % MAX_VECTORS
        )
    with _unique_part_name(gettext("Vector settings"), name, dataset):
        settings: VectorSettings = VectorSettings.objects.create(
            dataset=dataset, name=name, title=title, dimensions=dimensions
        )
    _emit_part("vector_settings.created", settings)
    return settings


@transaction.atomic
def update_vector_settings(*, settings: VectorSettings, title: str) -> VectorSettings:
    """Change the title, the only thing that can change."""
    settings = _lock_part(settings)
    settings.title = title
    settings.save()
    _emit_part("vector_settings.updated", settings)
    return settings


@transaction.atomic
def delete_vector_settings(*, settings: VectorSettings) -> None:
    """Forget a vector and what records have of it; the database cascades."""
    lock_dataset(settings.dataset)
    VectorSettings.objects.filter(pk=settings.pk).delete()
    _emit_part("vector_settings.deleted", settings)


# --- Shared -----------------------------------------------------------------------------------
def _lock_part(part: _PartType) -> _PartType:
    """The part as it is now, its dataset locked."""
    lock_dataset(part.dataset)
    locked: _PartType | None = type(part).objects.filter(pk=part.pk).first()
    if locked is None:
        raise NotFoundError(f"{type(part).__name__} with id `{part.pk}` not found")
    locked.__dict__["_before"] = _described(locked)
    return locked


def _described(part: _Part) -> dict[str, object]:
    names = ("title", "description", "required", "settings", "visible_for_annotators")
    return {name: getattr(part, name) for name in names if hasattr(part, name)}


def _lock_draft(dataset: Dataset, refusal: str) -> Dataset:
    locked = lock_dataset(dataset)
    if locked.status != DatasetStatus.DRAFT:
        raise InvalidError(refusal)
    return locked


@contextmanager
def _unique_part_name(kind: str, name: str, dataset: Dataset) -> Iterator[None]:
    try:
        with transaction.atomic():
            yield
    except IntegrityError as error:
        raise ConflictError(
            gettext("%(part)s with name `%(name)s` already exists for dataset with id `%(id)s`")
            % {"part": kind, "name": name, "id": dataset.id}
        ) from error


def _emit_part(kind: str, part: _Part) -> None:
    """Announce the change, and make whoever remembers the dataset's parts read them again.

    The version is random: one counted up in a transaction that rolls back would come again.
    """
    rows = Dataset.objects.filter(pk=part.dataset_id)
    rows.update(schema_version=secrets.randbelow(2**31))
    before = part.__dict__.get("_before")
    told = {} if before is None else changes(before, _described(part))
    payload = {"name": part.name, **told}
    emit(kind, dataset_id=part.dataset_id, object_id=part.id, payload=payload)
