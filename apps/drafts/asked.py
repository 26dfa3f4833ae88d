"""Which drafts are meant: by where they come from, what filters say, and by name."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Count, Q

from apps.datasets.models import Dataset
from apps.drafts.models import Draft, DraftQuerySet, DraftState


@dataclass(frozen=True, slots=True)
class Asked:
    """All that is given must hold. ``parent`` is a record or draft that they were made from,
    ``record`` the one they became, ``alike`` whether they nearly repeat something; ``keep`` False
    are those that a filter advises against, and True those that none does."""

    state: str | None = None
    ids: Sequence[UUID] | None = None
    job: UUID | None = None
    recipe: str | None = None
    agent: str | None = None
    prompt_version: UUID | None = None
    parent: UUID | None = None
    record: UUID | None = None
    decision: UUID | None = None
    group: str | None = None
    keep: bool | None = None
    alike: bool | None = None
    least_score: float | None = None
    most_score: float | None = None

    def of(self, dataset: Dataset) -> DraftQuerySet:
        """The dataset's drafts that are meant."""
        return Draft.objects.of_dataset(dataset).filter(*self._conditions())

    def _conditions(self) -> list[Q]:
        equal = {
            "state": self.state,
            "job_id": self.job,
            "recipe": self.recipe,
            "agent": self.agent,
            "prompt_version_id": self.prompt_version,
            "record_id": self.record,
            "decision": self.decision,
            "group": self.group,
            "score__gte": self.least_score,
            "score__lte": self.most_score,
            "id__in": self.ids,
        }
        found = [Q(**{name: value}) for name, value in equal.items() if value is not None]
        if self.parent is not None:
            found.append(Q(parents__contains=[self.parent]))
        if self.keep is not None:
            found.append(Q(keep=False) if not self.keep else ~Q(keep=False) | Q(keep=None))
        if self.alike is not None:
            found.append(Q(like__isnull=not self.alike))
        return found


def summary(drafts: DraftQuerySet) -> dict[str, object]:
    """How many there are by state, and of those that wait by group, advised against, and alike.

    Two statements.
    """
    states = dict(drafts.order_by().values_list("state").annotate(n=Count("id")))
    waiting = drafts.waiting().order_by()
    rows = waiting.values("group").annotate(
        n=Count("id"),
        advised=Count("id", filter=Q(keep=False)),
        alike=Count("id", filter=Q(like__isnull=False)),
    )
    groups = {row["group"]: row for row in rows}
    return {
        "states": {state: states.get(state, 0) for state in DraftState.values},
        "groups": {group: row["n"] for group, row in groups.items()},
        "advised_against": sum(row["advised"] for row in groups.values()),
        "alike": sum(row["alike"] for row in groups.values()),
    }
