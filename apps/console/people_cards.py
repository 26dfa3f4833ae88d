"""What each person has done in a dataset and what it is worth, as rows of a table."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from apps.annotation import quotas
from apps.annotation.models import Annotator
from apps.console.standing_cards import Card, Look
from apps.core.charts import sparkline
from apps.datasets.models import Dataset
from apps.organizations.models import Membership
from apps.quality import pace, standing
from apps.quality.standing import Trust

TAKES_ALL = 0.95  # of suggestions, from which on somebody is worth a look
HURRIES = 6.0  # s
MOST_DATASETS = 50  # on a person's page
ANSWERS = 20  # from which on a share says something


@dataclass(frozen=True, slots=True)
class Row:
    """A person with their work in the window and what their answers to a question are worth."""

    person: quotas.Person
    work: pace.Work
    trust: Trust
    spark: SafeString
    daily_quota: int | None
    total_quota: int | None

    @property
    def member(self) -> Membership:
        return self.person.member

    @property
    def is_hasty(self) -> bool:
        """Takes nearly all suggestions in no time."""
        accepted, seconds = self.trust.accepted, self.work.seconds
        return (
            accepted is not None
            and seconds is not None
            and self.trust.n >= ANSWERS
            and accepted.value >= TAKES_ALL
            and seconds <= HURRIES
        )

    @property
    def cells(self) -> list[Any]:
        """Raw, as the CSV file has them."""
        work, trust = self.work, self.trust
        shares = (trust.accepted, trust.others, trust.decided)
        return [
            self.member.display_name,
            work.done,
            self.person.submitted_today,
            self.daily_quota,
            None if work.seconds is None else round(work.seconds),
            work.discards,
            *(None if one is None else one.value for one in shares),
            trust.told,
        ]


def columns() -> list[str]:
    return [
        _("Person"),
        _("Done"),
        _("Today"),
        _("Daily quota"),
        _("Median seconds"),
        _("Discards"),
        _("Takes suggestion"),
        _("With the others"),
        _("With decisions"),
        _("Information"),
    ]


@dataclass(frozen=True, slots=True)
class People:
    """By membership: the work in the window, answers of the last days, and what they are worth."""

    work: dict[UUID, pace.Work]
    days: dict[UUID, list[int]]
    trust: dict[UUID, Trust]


def people_figures(look: Look) -> People:
    """Of everybody who answered. Five queries, or eight."""
    told = standing.trust(standing.load(look.rule, since=look.since)) if look.rule else {}
    return People(pace.work(look.dataset, since=look.since), pace.last_days(look.dataset), told)


def people_rows(look: Look, counted: People, *, only: UUID | None = None) -> list[Row]:
    """Everybody who answered or has quotas, most answers first; or one of them. One query."""
    dataset = look.dataset
    found = [
        Row(
            person=one,
            work=counted.work.get(one.member.id, pace.Work()),
            trust=counted.trust.get(one.member.id, Trust(0)),
            spark=sparkline([float(n) for n in counted.days.get(one.member.id, [0, 0])]),
            daily_quota=dataset.daily_quota if one.daily_quota is None else one.daily_quota,
            total_quota=dataset.total_quota if one.total_quota is None else one.total_quota,
        )
        for one in quotas.places(dataset=dataset)
        if only in {None, one.member.id}
    ]
    return sorted(found, key=lambda row: (-row.work.done, row.member.display_name))


def alerts(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Whom the page warns of: who takes all suggestions in no time, and else who seems blind."""
    rows = list(rows)
    return {
        "hasty": [row for row in rows if row.is_hasty],
        "blind": [row for row in rows if row.trust.is_blind and not row.is_hasty],
    }


def people_card(look: Look, counted: People, *, only: UUID | None = None) -> tuple[Card, list[Row]]:
    """The table as a card, and its rows."""
    rows = people_rows(look, counted, only=only)
    about = look.rule.question.title if look.rule else ""
    empty = "" if rows else _("Nobody has answered yet.")
    foot = _(
        "With the others: how often the answer is what most of the others say, with its interval; "
        "with decisions: what a reviewer decided. Information: how much of what the others say "
        "the answers tell, near 0 for somebody who answers blindly."
    )
    cells = [row.cells for row in rows]
    return Card(_("People"), about, columns=columns(), rows=cells, foot=foot, empty=empty), rows


# --- One person in all datasets ------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Place:
    """A person's work in one dataset."""

    dataset: Dataset
    person: quotas.Person
    work: pace.Work
    spark: SafeString

    @property
    def daily_quota(self) -> int | None:
        own = self.person.daily_quota
        return self.dataset.daily_quota if own is None else own


def work_rows(person: Membership, datasets: Iterable[Dataset], *, days: int | None) -> list[Place]:
    """Of the datasets in which the person has a place, the most recent first.

    Two queries, and four a dataset of theirs, of which at most ``MOST_DATASETS`` are told.
    """
    mine = Annotator.objects.filter(user=person, dataset__in=list(datasets))
    known = {place.dataset_id for place in mine}
    chosen = [dataset for dataset in datasets if dataset.id in known]
    chosen.sort(key=lambda dataset: dataset.updated_at, reverse=True)
    found = []
    for dataset in chosen[:MOST_DATASETS]:
        people = quotas.places(dataset=dataset)
        found += [_place(dataset, one, days) for one in people if one.member.id == person.id]
    return found


def _place(dataset: Dataset, person: quotas.Person, days: int | None) -> Place:
    mine, since = person.member.id, pace.since_days(days)
    recent = pace.last_days(dataset, person=mine).get(mine, [0, 0])
    return Place(
        dataset=dataset,
        person=person,
        work=pace.work(dataset, since=since, person=mine).get(mine, pace.Work()),
        spark=sparkline([float(n) for n in recent]),
    )


def work_card(places: Iterable[Place]) -> Card:
    """The numbers of a person's page."""
    return Card(
        _("Work"),
        columns=[_("Dataset"), *columns()[1:6]],
        rows=[
            [
                place.dataset.name,
                place.work.done,
                place.person.submitted_today,
                place.daily_quota,
                None if place.work.seconds is None else round(place.work.seconds),
                place.work.discards,
            ]
            for place in places
        ],
    )
