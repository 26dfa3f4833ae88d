"""Prompt versions: numbered, shared when equal, fixed by the database once they are used."""

from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from apps.core.errors import ConflictError, InvalidError
from apps.datasets.models import Dataset, Question
from apps.datasets.schema import DatasetSchema
from apps.datasets.services.datasets import update_dataset
from apps.pipelines.models import DryRunItem, PromptVersion, SuggestionVersion
from apps.pipelines.versions import (
    delete_prompt,
    mark_used,
    prompt_now,
    rebase_prompt,
    save_prompt,
    staleness,
    update_prompt,
)
from apps.records.models import Record

TEMPLATE = "{{ guidelines }} {{ text }}"


@pytest.fixture
def version(schema: DatasetSchema, question: Question) -> PromptVersion:
    return save(schema, question)


def save(schema: DatasetSchema, question: Question, **values: Any) -> PromptVersion:
    words = {"template": TEMPLATE, "shots": 2, "strategy": "nearest"}
    words |= {name: values.pop(name) for name in words if name in values}
    prompt = prompt_now(schema.dataset, question, **words)  # type: ignore[arg-type]
    return save_prompt(schema=schema, question=question, prompt=prompt, model="tiny", **values)


def test_versions_are_numbered_and_equal_ones_are_one(
    version: PromptVersion, schema: DatasetSchema, question: Question
) -> None:
    assert save(schema, question).id == version.id
    second = save(schema, question, shots=3, parent=version)
    assert (version.number, second.number, str(second)) == (1, 2, "v2")
    assert second.parent_id == version.id
    other = Question.objects.get(dataset=schema.dataset, name="quality")
    assert save(schema, other).number == 1


def test_a_version_keeps_what_it_was_made_from(
    version: PromptVersion, dataset: Dataset, question: Question
) -> None:
    assert version.guidelines == "Be fair."
    assert version.asked["title"] == "Sentiment"
    assert staleness(version, dataset, question) == []
    dataset = update_dataset(dataset=dataset, changes={"guidelines": "Be strict."})
    question.title = "Mood"
    assert staleness(version, dataset, question) == ["guidelines", "question"]


def test_rebasing_takes_the_guidelines_of_now(
    version: PromptVersion, dataset: Dataset, schema: DatasetSchema
) -> None:
    assert rebase_prompt(version=version, schema=schema).id == version.id
    schema.dataset = update_dataset(dataset=dataset, changes={"guidelines": "Be strict."})
    renewed = rebase_prompt(version=version, schema=schema)
    assert (renewed.number, renewed.parent_id) == (2, version.id)
    assert (renewed.guidelines, renewed.template) == ("Be strict.", TEMPLATE)
    assert renewed.guidelines_version == dataset.guidelines_version + 1


def test_a_version_changes_until_it_is_used(version: PromptVersion, schema: DatasetSchema) -> None:
    changed = update_prompt(version=version, schema=schema, changes={"template": "{{ record }}"})
    assert changed.template == "{{ record }}"
    mark_used(version.id)
    with pytest.raises(ConflictError, match="never changes"):
        update_prompt(version=version, schema=schema, changes={"template": TEMPLATE})
    noted = update_prompt(version=version, schema=schema, changes={"note": "the good one"})
    assert noted.note == "the good one"
    with pytest.raises(ConflictError, match="stays"):
        delete_prompt(version=version)


@pytest.mark.parametrize(
    "change",
    [
        {"template": "x"},
        {"guidelines": "x"},
        {"shots": 9},
        {"model": "other"},
        {"asking": {"temperature": 2}},
        {"used_at": None},
        {"number": 9},
        {"question": None},
    ],
)
def test_the_database_says_that_a_used_version_stays(
    change: dict[str, Any], version: PromptVersion
) -> None:
    mark_used(version.id)
    with pytest.raises(IntegrityError, match="never changes"), transaction.atomic():
        PromptVersion.objects.filter(id=version.id).update(**change)
    assert PromptVersion.objects.filter(id=version.id).update(note="fine") == 1


def test_an_unused_version_can_be_deleted_and_a_parent_may_go(
    version: PromptVersion, schema: DatasetSchema, question: Question
) -> None:
    child = save(schema, question, shots=4, parent=version)
    mark_used(child.id)
    delete_prompt(version=version)
    child.refresh_from_db()
    assert child.parent_id is None


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ txet }}", "Line 1 .* nothing called “txet”"),
        ("\n{{ 'a' * 100 }}", "Line 2 .* Mul"),
        ("Just say yes.", "names no field"),
        ("{{ guidelines }}", "names no field"),
    ],
)
def test_a_template_that_cannot_be_used_is_refused(
    template: str, message: str, schema: DatasetSchema, question: Question
) -> None:
    with pytest.raises(InvalidError, match=message):
        save(schema, question, template=template)


def test_unknown_parameters_are_refused(schema: DatasetSchema, question: Question) -> None:
    with pytest.raises(InvalidError, match=r"params\.ratoinale"):
        save(schema, question, params={"ratoinale": True})


def refused(name: str) -> Any:
    return pytest.raises(IntegrityError, match=name)


def test_constraints(
    version: PromptVersion, dataset: Dataset, question: Question, records: list[Record]
) -> None:
    with refused("prompt_version_number_unique"), transaction.atomic():
        PromptVersion.objects.create(dataset=dataset, question=question, number=1)
    with refused("prompt_version_shots_few"), transaction.atomic():
        PromptVersion.objects.filter(id=version.id).update(shots=51)
    row = {"record": records[0], "question": question, "dataset": dataset, "agent": "a"}
    SuggestionVersion.objects.create(**row, value="mixed")
    with refused("suggestion_version_unique_per_agent"), transaction.atomic():
        SuggestionVersion.objects.create(**row, value="positive")
    assert not DryRunItem.objects.exists()
    assert timezone.now() > version.inserted_at
