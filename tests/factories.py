"""The smallest valid rows, made through the services that the product uses."""

import itertools
from collections.abc import Iterable, Mapping
from typing import Any

from apps.annotation.ingest import log_records
from apps.datasets.models import Dataset, DatasetStatus, Field, Question
from apps.organizations.models import Membership, Organization
from apps.organizations.services import create_member, create_organization
from apps.records.inputs import RecordInput
from apps.records.models import Record
from apps.records.services import prepare_dataset
from apps.workspaces.models import Workspace
from apps.workspaces.services import add_workspace_member, create_workspace

_numbers = itertools.count(1)

PASSWORD = "correct horse battery"

SENTIMENT = {
    "type": "label_selection",
    "options": [
        {"value": "positive", "text": "Positive", "description": None},
        {"value": "negative", "text": "Negative", "description": None},
        {"value": "mixed", "text": "Mixed", "description": None},
    ],
    "visible_options": None,
}
QUESTIONS: Mapping[str, Mapping[str, Any]] = {
    "sentiment": SENTIMENT,
    "genre": {
        "type": "multi_label_selection",
        "options": [
            {"value": value, "text": value.title(), "description": None}
            for value in ("comedy", "drama", "horror")
        ],
        "visible_options": None,
        "options_order": "natural",
    },
    "quality": {"type": "rating", "options": [{"value": value} for value in range(1, 6)]},
    "order": {
        "type": "ranking",
        "options": [
            {"value": value, "text": value.upper(), "description": None}
            for value in ("a", "b", "c")
        ],
    },
    "comment": {"type": "text", "use_markdown": False},
    "entities": {
        "type": "span",
        "field": "text",
        "options": [
            {"value": value, "text": value.title(), "description": None}
            for value in ("person", "place")
        ],
        "visible_options": None,
        "allow_overlapping": False,
        "allow_character_annotation": True,
    },
}


def make_organization(name: str = "Acme") -> Organization:
    return create_organization(name=name, slug=f"{name.lower()}-{next(_numbers)}")


def make_member(
    *, role: str = "annotator", workspace: Workspace | None = None, **values: Any
) -> Membership:
    """A member of the entered organization, in ``workspace`` when one is given."""
    number = next(_numbers)
    values.setdefault("username", f"{role}-{number}")
    member = create_member(role=role, **values)
    if workspace is not None:
        add_workspace_member(workspace=workspace, member=member)
    return member


def make_workspace(name: str | None = None) -> Workspace:
    return create_workspace(name=name or f"workspace-{next(_numbers)}")


def make_dataset(
    workspace: Workspace | None = None,
    *,
    questions: Iterable[str] = ("sentiment",),
    required: Iterable[str] | None = None,
    **values: Any,
) -> Dataset:
    """A published dataset with a required text field and the named ``QUESTIONS``."""
    names = list(questions)
    values.setdefault("name", f"dataset-{next(_numbers)}")
    dataset = Dataset.objects.create(
        workspace=workspace or make_workspace(), status=DatasetStatus.READY, **values
    )
    prepare_dataset(dataset=dataset)
    Field.objects.create(
        dataset=dataset,
        name="text",
        title="Text",
        required=True,
        settings={"type": "text", "use_markdown": False},
    )
    for name in names:
        Question.objects.create(
            dataset=dataset,
            name=name,
            title=name.title(),
            required=name in (required if required is not None else names[:1]),
            settings=dict(QUESTIONS[name]),
        )
    return dataset


def make_records(dataset: Dataset, count: int = 1, **values: Any) -> list[Record]:
    """``count`` records with different texts."""
    logged = log_records(
        dataset=dataset,
        items=[
            RecordInput(fields={"text": f"text number {next(_numbers)}"}, **values)
            for _ in range(count)
        ],
    )
    return list(Record.objects.filter(id__in=[row.id for row in logged]).in_order())
