"""Who is asked for how many answers in a dataset, and how quickly they come.

A quota stops the hand-out, never the saving: an answer that is there already is always kept.
"""

from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Count, F, Q
from django.utils import timezone

from apps.annotation import slots
from apps.annotation.models import Annotator, Response
from apps.core.prepared import execute
from apps.core.tenancy import current
from apps.datasets.models import Dataset
from apps.events.log import changes, emit
from apps.organizations.models import Membership

LONGEST_GAP = 600  # s between two answers; a longer one is a break
RECENT = 50  # answers
FEWEST = 3  # gaps from which a median is told


@transaction.atomic
def set_quotas(
    *, dataset: Dataset, annotator: Membership, daily_quota: int | None, total_quota: int | None
) -> Annotator:
    """A person's own quotas in the dataset; None leaves the dataset's in force, 0 asks nothing."""
    slots.lock_places(dataset.id, [annotator.id])
    places = Annotator.objects.filter(dataset=dataset, user=annotator)
    before: dict[str, Any] = dict(places.values("daily_quota", "total_quota").first() or {})
    after = {"daily_quota": daily_quota, "total_quota": total_quota}
    places.update(**after)
    payload = {"user_id": str(annotator.id), **changes(before, after)}
    emit("dataset.quotas_set", dataset_id=dataset.id, object_id=dataset.id, payload=payload)
    return places.get()


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with a place in the dataset; ``None`` quotas are the dataset's."""

    member: Membership
    submitted_today: int
    daily_quota: int | None
    total_quota: int | None
    submitted: int = 0
    discarded: int = 0


def places(*, dataset: Dataset) -> list[Person]:
    """Everybody who answered or has quotas, by name and without their answers. One query."""
    has_quota = Q(daily_quota__isnull=False) | Q(total_quota__isnull=False)
    found = Annotator.objects.filter(dataset=dataset).select_related("user")
    chosen = found.filter(has_quota | Q(first_response_at__isnull=False))
    today = timezone.now().date()
    people = [
        Person(
            member=place.user,
            submitted_today=place.submitted_today if place.day == today else 0,
            daily_quota=place.daily_quota,
            total_quota=place.total_quota,
        )
        for place in chosen
    ]
    return sorted(people, key=lambda person: person.member.username)


def people(*, dataset: Dataset) -> list[Person]:
    """Everybody who answered or has quotas, most answers first. Two queries."""
    counted = Response.objects.filter(dataset=dataset).values("user_id")
    answers: dict[UUID, dict[str, Any]] = {
        row["user_id"]: {"submitted": row["submitted"], "discarded": row["discarded"]}
        for row in counted.annotate(
            submitted=Count("id", filter=Q(status="submitted")),
            discarded=Count("id", filter=Q(status="discarded")),
        )
    }
    found = [replace(one, **answers.get(one.member.id, {})) for one in places(dataset=dataset)]
    return sorted(found, key=lambda person: (-person.submitted, person.member.username))


# The newest records of the person, whose answers lie next to each other in the index.
_GAPS = """
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY gap), count(*) FROM (
    SELECT extract(epoch FROM at - lag(at) OVER (ORDER BY at))::float8 AS gap FROM (
        SELECT inserted_at AS at FROM response
        WHERE organization_id = %(o)s AND dataset_id = %(d)s AND user_id = %(u)s
            AND status = 'submitted' ORDER BY record_id DESC LIMIT %(recent)s
    ) AS recent
) AS gaps WHERE gap > 0 AND gap <= %(longest)s
"""


def median_seconds(*, dataset: Dataset, annotator: Membership) -> int | None:
    """Between two of the person's latest answers, breaks left out; None from too few. One query.

    Its cost does not grow with the number of answers.
    """
    facts = {"o": current(), "d": dataset.id, "u": annotator.id}
    limits = {"recent": RECENT, "longest": LONGEST_GAP}
    median, count = execute(_GAPS, {**facts, **limits}).fetchone() or (None, 0)
    return round(float(median)) if median is not None and count >= FEWEST else None


def quotas_reached(*, datasets: list[Dataset]) -> dict[UUID, int]:
    """People who have reached today's quota, by dataset; those without any are left out.

    One query for any number of datasets.
    """
    today = timezone.now().date()
    places = Annotator.objects.filter(dataset__in=datasets, day=today, submitted_today__gt=0)
    own = Q(daily_quota__lte=F("submitted_today"))
    usual = Q(daily_quota__isnull=True, dataset__daily_quota__lte=F("submitted_today"))
    counted = places.filter(own | usual).values_list("dataset_id").annotate(n=Count("user_id"))
    return dict(counted.order_by())
