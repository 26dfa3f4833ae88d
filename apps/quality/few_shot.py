"""The job that trains a question's head and suggests answers for the pending records.

``params``: ``{"question_id": "…", "overwrite": false, "limit": null}``.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Final
from uuid import UUID

import numpy as np
from django.utils import timezone

from apps.core.errors import InvalidError
from apps.core.tenancy import enter
from apps.datasets.models import Question, QueueOrder
from apps.datasets.schema import load_schema
from apps.datasets.services import hold_schema
from apps.events.log import emit
from apps.jobs.errors import AbandonJobError
from apps.jobs.kinds import FREE, Kind, Planned, Work
from apps.jobs.models import Job
from apps.quality import head as heads
from apps.quality.answers import Examples, load_examples
from apps.quality.causes import is_possible
from apps.quality.embeddings import embed
from apps.quality.head import Head, Proposal
from apps.quality.models import TrainedHead
from apps.quality.suggestions import write_suggestions
from apps.records.models import Record, RecordStatus, RecordTask
from apps.records.text import searchable_text

BATCH: Final = 200  # records an item
PAGE: Final = 10 * BATCH  # records a query while planning


@dataclass(frozen=True, slots=True)
class Batch:
    """Records to suggest for, with the head to do it."""

    head: Head
    record_ids: list[UUID]
    texts: list[str]


@dataclass(frozen=True, slots=True)
class Proposals:
    """One proposal a record, in the same order."""

    record_ids: list[UUID]
    proposals: list[Proposal]


class FewShotSuggestions(Kind[Batch, Proposals]):
    """Learns from the submitted answers to one question, then suggests in batches."""

    def plan(self, job: Job, *, organization_id: UUID) -> Iterator[Planned]:
        with enter(organization_id):
            question = find_question(job)
            examples = load_examples(question)
        head = train(question, examples)
        with enter(organization_id):
            _keep(job, question, head, examples)
        for page in _pages(job, question, organization_id):
            for start in range(0, len(page), BATCH):
                batch = page[start : start + BATCH]
                yield Planned({"records": [str(id) for id in batch]}, size=len(batch))

    def read(self, work: Work) -> Batch:
        question = find_question(work.job)
        trained = TrainedHead.objects.filter(question=question, job_id=work.job.id).first()
        if trained is None:
            raise AbandonJobError("A newer training has replaced this one.")
        fields = load_schema(question.dataset).fields
        pending = Record.objects.filter(
            id__in=work.payload["records"], status=RecordStatus.PENDING
        ).in_order()
        rows = list(pending.values_list("id", "fields"))
        texts = [searchable_text(record, fields) for _, record in rows]
        return Batch(restore(trained), [id for id, _ in rows], texts)

    def compute(self, work: Work, material: Batch) -> Proposals:
        proposals = heads.propose(material.head, embed(material.texts))
        return Proposals(material.record_ids, proposals)

    def write(self, work: Work, result: Proposals) -> Decimal:
        question = find_question(work.job)
        rule = hold_schema(question.dataset).questions_by_id.get(question.id)
        if rule is None:
            raise AbandonJobError("The question was deleted.")
        pairs = zip(result.record_ids, result.proposals, strict=True)
        # Learnt from answers that an edit may have rewritten since: no label that is gone returns.
        possible = [(id, one) for id, one in pairs if is_possible(rule, one.value)]
        write_suggestions(
            question=rule.question,
            record_ids=[id for id, _ in possible],
            proposals=[one for _, one in possible],
            overwrite=work.job.params["overwrite"],
        )
        return FREE


def train(question: Question, examples: Examples) -> Head:
    """Fit the question's kind of head. Raises ``InvalidError`` with fewer than two classes."""
    if len(examples.classes) < 2:
        raise InvalidError("There are answers of fewer than two kinds so far: nothing to learn.")
    embeddings = embed(examples.texts)
    if isinstance(examples.targets[0], list):
        return heads.fit_multi(embeddings, examples.targets)
    return heads.fit(embeddings, examples.targets)


def find_question(job: Job) -> Question:
    """The question the job is about. Raises ``AbandonJobError`` when it is gone."""
    found = Question.objects.select_related("dataset").filter(id=job.params["question_id"])
    question: Question | None = found.first()
    if question is None:
        raise AbandonJobError("The question was deleted.")
    return question


def _keep(job: Job, question: Question, head: Head, examples: Examples) -> None:
    """Store the head as plain bytes, in place of the question's earlier one."""
    TrainedHead.objects.update_or_create(
        question=question,
        defaults={
            "job_id": job.id,
            "classes": list(head.classes),
            "is_multi": head.is_multi,
            "coefficients": head.coefficients.astype("<f4").tobytes(),
            "intercepts": head.intercepts.astype("<f4").tobytes(),
            "examples": len(examples.texts),
            "trained_at": timezone.now(),
        },
    )
    emit(
        "suggester.trained",
        dataset_id=question.dataset_id,
        object_id=question.id,
        payload={"examples": len(examples.texts), "classes": len(head.classes)},
    )


def restore(trained: TrainedHead) -> Head:
    """The head as it was trained."""
    classes = tuple(trained.classes)
    coefficients = np.frombuffer(trained.coefficients, dtype="<f4")
    intercepts = np.frombuffer(trained.intercepts, dtype="<f4")
    shaped = coefficients.reshape(len(classes), -1)
    return Head(classes, shaped, intercepts, is_multi=trained.is_multi)


def _pages(job: Job, question: Question, organization_id: UUID) -> Iterator[list[UUID]]:
    """Ids of the records to suggest for: all pending ones, or the next ``limit`` in the queue."""
    limit = job.params["limit"]
    if limit is not None:
        with enter(organization_id):
            chosen = _next_in_queue(question, limit)
        yield chosen
        return
    last = UUID(int=0)
    while True:
        with enter(organization_id):
            pending = Record.objects.filter(
                dataset=question.dataset_id, status=RecordStatus.PENDING, id__gt=last
            )
            page = list(pending.in_order().values_list("id", flat=True)[:PAGE])
        if not page:
            return
        yield page
        last = page[-1]


def _next_in_queue(question: Question, limit: int) -> list[UUID]:
    """Unscored records have certainty 0, so least certain first reaches every record in time."""
    open_tasks = RecordTask.objects.filter(dataset=question.dataset_id, open_slots__gt=0)
    if question.dataset.queue_order == QueueOrder.LEAST_CERTAIN_FIRST:
        open_tasks = open_tasks.order_by("certainty", "record_id")
    else:
        open_tasks = open_tasks.order_by("record_id")
    return list(open_tasks.values_list("record_id", flat=True)[:limit])
