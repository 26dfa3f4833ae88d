"""Datasets as recipes want them, and runs of recipes on them."""

from collections.abc import Mapping, Sequence
from typing import Any

from apps.annotation.ingest import log_records
from apps.datasets.models import Dataset, Field, Question
from apps.datasets.schema import load_schema
from apps.drafts.models import Draft
from apps.jobs.models import Job
from apps.llms.models import Provider
from apps.pipelines.orders import RunOrder, start_run
from apps.pipelines.recipes.base import Context
from apps.pipelines.recipes.registry import load
from apps.pipelines.runs import RunSpec, make_context
from apps.records.inputs import RecordInput
from apps.records.models import Record
from apps.workspaces.models import Workspace
from tests.factories import QUESTIONS, make_dataset
from tests.pipelines.conftest import run

INSTRUCTIONS = [
    ("How do I block a lost card?", "Call us at once.", "Open the app, tap Card, then Block."),
    ("What is a direct debit?", "An order to your bank.", "Something with money."),
    ("May I pay abroad?", "Yes, in every country.", "Yes, though some shops refuse cards."),
]
RESPONSES = ("answer_1", "answer_2")


def make_fields(dataset: Dataset, names: Sequence[str]) -> Dataset:
    """The dataset with further text fields."""
    for name in names:
        Field.objects.create(dataset=dataset, name=name, title=name, settings={"type": "text"})
    dataset.schema_version += 1
    dataset.save(update_fields=["schema_version"])
    return dataset


def make_question(dataset: Dataset, name: str, settings: Mapping[str, Any]) -> Question:
    question: Question = Question.objects.create(
        dataset=dataset, name=name, title=name, settings=dict(settings)
    )
    return question


def make_answers(workspace: Workspace | None = None) -> Dataset:
    """Three instructions (``text``) with two responses each, and questions about them."""
    dataset = make_dataset(workspace, questions=["sentiment"])
    make_question(dataset, "rating_1", QUESTIONS["quality"])
    make_question(dataset, "rating_2", QUESTIONS["quality"])
    options = [{"value": name, "text": name, "description": None} for name in RESPONSES]
    make_question(dataset, "best", {"type": "ranking", "options": options})
    make_fields(dataset, RESPONSES)
    items = [
        RecordInput(fields=dict(zip(("text", *RESPONSES), texts, strict=True)))
        for texts in INSTRUCTIONS
    ]
    log_records(dataset=dataset, items=items)
    return dataset


def start(recipe: str, dataset: Dataset, provider: Provider | None, /, **values: Any) -> Job:
    """A run of the recipe; ``params`` and the rest of the order by name."""
    given = {"recipe": recipe, "provider_id": provider and provider.id, **values}
    return start_run(dataset=dataset, order=RunOrder(**given))


def finish(recipe: str, dataset: Dataset, provider: Provider | None, /, **values: Any) -> Job:
    """The same, until its end."""
    return run(start(recipe, dataset, provider, **values))


def context_for(recipe: str, dataset: Dataset, /, **values: Any) -> Context:
    """A run's context without a job, to ask a recipe what it would do."""
    mode = load(recipe).write_modes[0]
    spec = RunSpec(recipe=recipe, model="tiny", agent="a/b@c", **{"write_mode": mode, **values})
    return make_context(spec, dataset=dataset, schema=load_schema(dataset))


def metadata_of(dataset: Dataset) -> list[dict[str, Any]]:
    """Of the dataset's records, in order."""
    return [record.metadata for record in Record.objects.filter(dataset=dataset).in_order()]


def drafts_of(job: Job) -> list[Draft]:
    return list(Draft.objects.filter(job_id=job.id).in_order())
