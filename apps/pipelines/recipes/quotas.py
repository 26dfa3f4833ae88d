"""So many drafts of each class, and not one more: asking on until the quotas are met.

A call is asked for up to ``PER_CALL`` records of one class. What comes is stored as far as it is
new and there is room; for what is then missing, and has not been asked for, the job gets more
items in the same transaction. So the quotas are met exactly, unless the last calls fail for good
(then retrying them asks on), or a model goes on repeating itself: after ``MOST`` times the calls
that would have done, the job ends with fewer.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from math import ceil
from typing import Final
from uuid import UUID

from django.db.models import Count, IntegerField, Sum
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast

from apps.datasets.models import Dataset
from apps.drafts.inputs import DraftInput
from apps.drafts.models import Draft
from apps.drafts.writing import write_drafts
from apps.jobs.chain import add_items
from apps.jobs.models import Job, JobItem
from apps.pipelines.recipes.base import Context, Payload
from apps.pipelines.recipes.writes import origin_of

PER_CALL: Final = 5
MOST: Final = 5
LARGEST: Final = 10_000  # drafts of one job

Quotas = Mapping[str, int]


def plan_quotas(quotas: Quotas) -> Iterator[Payload]:
    """Items that ask for all there shall be, class by class in turn."""
    asked = [
        (start // PER_CALL, group, min(PER_CALL, quota - start))
        for group, quota in quotas.items()
        for start in range(0, quota, PER_CALL)
    ]
    for number, group, count in sorted(asked, key=lambda one: one[0]):
        yield _payload(group, count, number)


def calls_for(quotas: Quotas) -> int:
    """How many items the quotas take, if nothing repeats itself."""
    return sum(ceil(quota / PER_CALL) for quota in quotas.values())


def fill_quotas(
    context: Context,
    *,
    recipe: str,
    dataset: Dataset,
    quotas: Quotas,
    drafts: Sequence[DraftInput],
    seqs: Sequence[int],
    compared: Sequence[str],
    sources: Mapping[UUID, str] | None = None,
) -> None:
    """Store what fits and ask for the rest. ``seqs`` are the items that ``drafts`` answer."""
    if context.job_id is None:
        return
    # Whoever else writes for this job counts after us.
    Job.objects.select_for_update(of=("self",)).get(id=context.job_id)
    write_drafts(
        dataset=dataset,
        origin=origin_of(context, recipe),
        drafts=drafts,
        room=_minus(quotas, _stored(context.job_id)),
        refuses_like=True,
        compared=compared,
        sources=sources,
    )
    missing = _minus(_minus(quotas, _stored(context.job_id)), _asked(context.job_id, seqs))
    add_items(job_id=context.job_id, payloads=list(_further(context.job_id, quotas, missing)))


def _payload(group: str, count: int, number: int) -> Payload:
    """``number`` counts the items of the group: it makes equal prompts different calls, and calls
    of an equal run the same."""
    return {"group": group, "count": count, "number": number}


def _further(job_id: UUID, quotas: Quotas, missing: Quotas) -> Iterator[Payload]:
    """Items for what is missing, as far as a model may be asked; full ones, so that they are the
    same whatever came before them."""
    grouped = JobItem.objects.filter(job_id=job_id).order_by()
    rows = grouped.values(of_group=KeyTextTransform("group", "payload")).annotate(n=Count("seq"))
    items = {row["of_group"]: row["n"] for row in rows}
    for group, wanted in missing.items():
        first = items.get(group, 0)
        calls = min(calls_for({group: wanted}), MOST * calls_for({group: quotas[group]}) - first)
        for number in range(first, first + calls):
            yield _payload(group, PER_CALL, number)


def _minus(quotas: Quotas, counted: Mapping[str, int]) -> dict[str, int]:
    return {group: max(0, quota - counted.get(group, 0)) for group, quota in quotas.items()}


def _stored(job_id: UUID) -> Counter[str]:
    rows = Draft.objects.filter(job_id=job_id).order_by().values("group").annotate(n=Count("id"))
    return Counter({row["group"]: row["n"] for row in rows})


def _asked(job_id: UUID, without: Sequence[int]) -> Counter[str]:
    """How many drafts of each class are still to come from items that are not done."""
    waiting = JobItem.objects.filter(job_id=job_id).open().exclude(seq__in=without)
    counted = waiting.annotate(
        of_group=KeyTextTransform("group", "payload"),
        count=Cast(KeyTextTransform("count", "payload"), IntegerField()),
    )
    rows = counted.order_by().values("of_group").annotate(n=Sum("count"))
    return Counter({row["of_group"]: row["n"] for row in rows})
