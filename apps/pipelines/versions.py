"""Prompt versions: made, changed until they are used, found stale, and brought up to date.

Who may do so is for the callers to check.
"""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.db.models import Max
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.core.errors import ConflictError, InvalidError
from apps.datasets.models import Dataset, Question
from apps.datasets.schema import DatasetSchema
from apps.datasets.services.datasets import lock_dataset
from apps.events.log import changes as difference
from apps.events.log import emit
from apps.organizations.models import Membership
from apps.pipelines.models import PromptVersion
from apps.pipelines.prompts import check_prompt
from apps.pipelines.recipes.base import Asking, Prompt
from apps.pipelines.recipes.registry import load
from apps.pipelines.runs import read_params

MAX_NOTE: Final = 2_000


def asked_now(question: Question | None) -> dict[str, Any]:
    """How the question reads at present."""
    if question is None:
        return {}
    return {
        "title": question.title,
        "description": question.description,
        "settings": question.settings,
    }


def prompt_now(
    dataset: Dataset, question: Question | None, *, template: str, shots: int, strategy: str
) -> Prompt:
    """A prompt with the guidelines and the question as they are at present."""
    return Prompt(
        template=template,
        guidelines=dataset.guidelines or "",
        guidelines_version=dataset.guidelines_version,
        asked=asked_now(question),
        shots=shots,
        strategy=strategy,
    )


@transaction.atomic
def save_prompt(
    *,
    schema: DatasetSchema,
    question: Question | None,
    prompt: Prompt,
    recipe: str = "suggest",
    provider_id: UUID | None = None,
    model: str = "",
    params: Mapping[str, Any] | None = None,
    asking: Asking | None = None,
    parent: PromptVersion | None = None,
    note: str = "",
    author: Membership | None = None,
) -> PromptVersion:
    """The version with this content: the one that there is, or a new one with the next number.

    Raises ``InvalidError`` for a template or parameters that cannot be used.
    """
    check_prompt(schema, prompt.template)
    read_params(load(recipe), dict(params or {}))
    dataset = lock_dataset(schema.dataset)  # numbers are given one after the other
    siblings = PromptVersion.objects.filter(dataset=dataset, question=question)
    content = {
        "recipe": recipe,
        **prompt.model_dump(exclude={"version_id"}),
        "provider_id": provider_id,
        "model": model,
        "params": dict(params or {}),
        "asking": _stored(asking or Asking()),
    }
    known: PromptVersion | None = siblings.filter(**content).newest_first().first()
    if known is not None:
        return known
    last = siblings.aggregate(last=Max("number"))["last"] or 0
    facts = {"parent": parent, "note": _note(note), "author": author, **content}
    version = PromptVersion.objects.create(
        dataset=dataset, question=question, number=last + 1, **facts
    )
    _emit("prompt.created", version)
    return version


def _stored(asking: Asking) -> dict[str, Any]:
    """Without the salt, which asks again but asks the same."""
    return asking.model_dump(exclude={"salt"})


@transaction.atomic
def update_prompt(
    *, version: PromptVersion, schema: DatasetSchema, changes: Mapping[str, Any]
) -> PromptVersion:
    """Change a version that has not been used: ``template``, ``shots``, ``strategy``,
    ``provider_id``, ``model``, ``params``, ``asking``; the ``note`` can always be changed.

    Raises ``ConflictError`` once it has been used, ``InvalidError`` for what cannot be used.
    """
    locked = PromptVersion.objects.select_for_update(of=("self",)).get(id=version.id)
    if locked.used_at is not None and set(changes) - {"note"}:
        raise ConflictError(_("A prompt version that has been used never changes: save a new one."))
    if "template" in changes:
        check_prompt(schema, changes["template"])
    if "params" in changes:
        read_params(load(locked.recipe), changes["params"])
    before = {name: getattr(locked, name) for name in changes}
    for name, value in changes.items():
        setattr(locked, name, _note(value) if name == "note" else value)
    locked.save()
    _emit("prompt.updated", locked, difference(before, changes))
    return locked


@transaction.atomic
def delete_prompt(*, version: PromptVersion) -> None:
    """Delete a version that has not been used. Raises ``ConflictError`` for others."""
    unused = PromptVersion.objects.filter(id=version.id, used_at__isnull=True)
    if not unused.delete()[0]:
        raise ConflictError(_("A prompt version that has been used stays, as its answers do."))
    _emit("prompt.deleted", version)


def mark_used(version_id: UUID) -> None:
    """From now on the version never changes."""
    unused = PromptVersion.objects.filter(id=version_id, used_at__isnull=True)
    unused.update(used_at=timezone.now())


def staleness(version: PromptVersion, dataset: Dataset, question: Question | None) -> list[str]:
    """What has changed since the version was made: ``guidelines``, ``question``."""
    found = []
    if version.guidelines != (dataset.guidelines or ""):
        found.append("guidelines")
    if version.asked != asked_now(question):
        found.append("question")
    return found


@transaction.atomic
def rebase_prompt(
    *, version: PromptVersion, schema: DatasetSchema, author: Membership | None = None
) -> PromptVersion:
    """The same prompt with the guidelines and the question as they are now, as a new version.

    Raises ``InvalidError`` when its template names fields that are gone.
    """
    question = version.question
    return save_prompt(
        schema=schema,
        question=question,
        prompt=prompt_now(
            schema.dataset,
            question,
            template=version.template,
            shots=version.shots,
            strategy=version.strategy,
        ),
        recipe=version.recipe,
        provider_id=version.provider_id,
        model=version.model,
        params=version.params,
        asking=Asking.model_validate(version.asking),
        parent=version,
        note=version.note,
        author=author,
    )


def _note(text: str) -> str:
    if len(text) > MAX_NOTE:
        raise InvalidError(_("A note has at most %d characters.") % MAX_NOTE)
    return text.replace("\0", "")


def _emit(kind: str, version: PromptVersion, more: Mapping[str, object] | None = None) -> None:
    payload = {"number": version.number, **(more or {})}
    emit(kind, dataset_id=version.dataset_id, object_id=version.id, payload=payload)
