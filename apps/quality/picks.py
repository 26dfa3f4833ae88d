"""The job that moves the most informative records to the front of the queue.

``params``: ``{"question_id": "…", "count": 100}``. A picked record has certainty −1 until its
next suggestion; only queues that are least certain first heed it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Final
from uuid import UUID

from django.db.models import OuterRef, Subquery
from django.db.models.functions import Coalesce

from apps.annotation import slots
from apps.datasets.schema import load_schema
from apps.jobs.kinds import FREE, Kind, Planned, Work
from apps.jobs.models import Job
from apps.quality import active
from apps.quality.embeddings import MAX_CHARACTERS, embed
from apps.quality.few_shot import find_question, restore
from apps.quality.head import Head, predict
from apps.quality.models import TrainedHead
from apps.records.models import RecordTask, Suggestion
from apps.records.text import searchable_text

POOL: Final = 20_000  # records to choose from, the oldest open ones
PICKED: Final = -1.0


@dataclass(frozen=True, slots=True)
class Pool:
    """Records nobody has answered yet; ``head`` is None before the first training."""

    head: Head | None
    record_ids: list[UUID]
    texts: list[str]


class Picks(Kind[Pool, list[UUID]]):
    """Chooses among the open records in one go."""

    def plan(self, job: Job, *, organization_id: UUID) -> Iterator[Planned]:
        yield Planned({}, size=job.params["count"])

    def read(self, work: Work) -> Pool:
        question = find_question(work.job)
        fields = load_schema(question.dataset).fields
        tasks = RecordTask.objects.filter(
            dataset=question.dataset_id, open_slots__gt=0, submitted=0
        ).order_by("record_id")
        rows = list(tasks.values_list("record_id", "record__fields")[:POOL])
        trained = TrainedHead.objects.filter(question=question).first()
        return Pool(
            head=restore(trained) if trained else None,
            record_ids=[id for id, _ in rows],
            texts=[searchable_text(record, fields)[:MAX_CHARACTERS] for _, record in rows],
        )

    def compute(self, work: Work, material: Pool) -> list[UUID]:
        vectors = embed(material.texts)
        count = work.job.params["count"]
        if material.head is None:
            picked = active.pick_typical(vectors, count)
        else:
            picked = active.pick_uncertain(vectors, predict(material.head, vectors), count)
        return [material.record_ids[row] for row in picked]

    def write(self, work: Work, result: list[UUID]) -> Decimal:
        tasks = RecordTask.objects.filter(dataset=work.job.dataset_id, open_slots__gt=0)
        earlier = tasks.filter(certainty=PICKED).values_list("record_id", flat=True)
        # Locked first, in the order that everybody keeps; who is being answered needs no pick.
        mine = tasks.filter(record_id__in=slots.lock([*earlier, *result], skip_busy=True))
        scores = Suggestion.objects.filter(record=OuterRef("record_id"), certainty__isnull=False)
        lowest = scores.order_by("certainty").values("certainty")[:1]
        mine.update(certainty=Coalesce(Subquery(lowest), 0.0))
        mine.filter(record_id__in=result).update(certainty=PICKED)
        return FREE
