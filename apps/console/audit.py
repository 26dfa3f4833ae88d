"""What the page of the event log shows: filters as they were asked for, and rows in words."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

from django.http import QueryDict
from django.utils import timezone

from apps.console import audit_words
from apps.core.ids import read_id
from apps.datasets.models import Dataset
from apps.events.models import Event, EventCheck
from apps.events.reading import DAILY, Wanted, administrative
from apps.exchange.cells import protect
from apps.organizations.models import ApiKey, Membership, SupportAccess

SPANS: Final = {"1": 1, "7": 7, "30": 30, "90": 90, "365": 365}  # days
USUAL_SPAN: Final = "30"
COLUMNS: Final = (
    "id",
    "time",
    "kind",
    "actor_id",
    "actor",
    "key_id",
    "support_id",
    "address",
    "request_id",
    "dataset_id",
    "object_id",
    "payload",
)
_MOST_FOUND: Final = 50  # people and datasets that a search may mean


@dataclass(frozen=True, slots=True)
class Asked:
    """The filters of the page, as they stand in its address."""

    text: str = ""
    kind: str = ""
    by: str = ""
    span: str = USUAL_SPAN
    since: str = ""
    until: str = ""

    @classmethod
    def read(cls, query: QueryDict) -> "Asked":
        """What is no filter of ours is none."""
        span = query.get("span", USUAL_SPAN)
        return cls(
            text=query.get("q", "").replace("\0", "").strip()[:200],
            kind=query.get("kind", "").replace("\0", "")[:60],
            by=query.get("by", "") if _is_somebody(query.get("by", "")) else "",
            span=span if span in {*SPANS, "all", "days"} else USUAL_SPAN,
            since=_day_text(query.get("since", "")),
            until=_day_text(query.get("until", "")),
        )

    @property
    def query(self) -> str:
        """The filters as they stand in an address."""
        given = {
            "q": self.text,
            "kind": self.kind,
            "by": self.by,
            "span": "" if self.span == USUAL_SPAN else self.span,
            "since": self.since,
            "until": self.until,
        }
        return urlencode({name: value for name, value in given.items() if value})

    def wanted(self, known: Sequence[str]) -> Wanted:
        """What to read; ``known`` are the kinds there are."""
        abouts, word = _meant(self.text)
        since, until = self._bounds()
        return Wanted(
            kinds=self._kinds(known), by=self.by, abouts=abouts, word=word, since=since, until=until
        )

    def _kinds(self, known: Sequence[str]) -> list[str]:
        if self.kind == "all":
            return list(known)
        if not self.kind:
            return administrative(known)
        return [kind for kind in known if self.kind in {kind, kind.partition(".")[0]}]

    def _bounds(self) -> tuple[datetime | None, datetime | None]:
        if self.since or self.until:
            return _start(self.since), _start(self.until, days=1)
        days = SPANS.get(self.span)
        return (timezone.now() - timedelta(days=days) if days else None), None


def _is_somebody(text: str) -> bool:
    return text in {"operator", "keys", "nobody"} or read_id(text) is not None


def _day_text(text: str) -> str:
    try:
        return date.fromisoformat(text[:10]).isoformat()
    except ValueError:
        return ""


def _start(day: str, *, days: int = 0) -> datetime | None:
    if not day:
        return None
    try:
        return datetime.combine(date.fromisoformat(day), time(), UTC) + timedelta(days=days)
    except OverflowError:
        return None


def _meant(text: str) -> tuple[list[UUID], str]:
    """Ids that the text names, or the text as a request id or an address."""
    if not text:
        return [], ""
    if (id := read_id(text)) is not None and "-" in text:
        return [id], ""
    people = Membership.objects.filter(username__icontains=text) | Membership.objects.filter(
        first_name__icontains=text
    )
    found = [*people.values_list("id", flat=True)[:_MOST_FOUND]]
    datasets = Dataset.objects.filter(name__icontains=text)
    found += datasets.values_list("id", flat=True)[:_MOST_FOUND]
    return (found, "") if found else ([], text)


# --- Rows -----------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Row:
    """An event as the page shows it."""

    event: Event
    who: str
    by_operator: bool
    did: str
    objects: list[str]
    changes: list[tuple[str, str, str]]
    place: str


class Names:
    """What the ids in some events are called; four queries, and none for what is not there."""

    def __init__(self, events: Sequence[Event]) -> None:
        people = _given(id for event in events for id in [event.actor_id, *_about(event)])
        members = Membership.objects.filter(id__in=people)
        self.people = {one.id: one.display_name for one in members}
        keys = ApiKey.objects.filter(id__in=_given(event.key_id for event in events))
        self.keys = {one.id: f"{one.prefix}…" for one in keys}
        datasets = _given(event.dataset_id for event in events)
        self.datasets = dict(Dataset.objects.filter(id__in=datasets).values_list("id", "name"))
        supports = _given(event.support_id for event in events)
        found = SupportAccess.objects.filter(id__in=supports) if supports else ()
        self.operators = {one.id: one.operator for one in found}

    def who(self, event: Event) -> str:
        """The person, with the key's beginning where one was used; empty for nobody."""
        if _is_by_operator(event):
            return str(event.payload.get("operator") or self._operator(event))
        person = self.people.get(event.actor_id, "") if event.actor_id else ""
        if event.key_id in self.keys:
            return f"{person} · {self.keys[event.key_id]}" if person else self.keys[event.key_id]
        return person or (str(event.actor_id)[:8] if event.actor_id else "")

    def _operator(self, event: Event) -> str:
        return self.operators.get(event.support_id, "") if event.support_id else ""

    def objects(self, event: Event) -> list[str]:
        """What it was done to, the dataset first."""
        named = [self.datasets.get(event.dataset_id, "")] if event.dataset_id else []
        named += [self.people[id] for id in _about(event) if id in self.people]
        return list(dict.fromkeys(filter(None, [*named, *audit_words.told(event.payload)])))


def _is_by_operator(event: Event) -> bool:
    return event.support_id is not None or "operator" in event.payload


def _about(event: Event) -> list[UUID | None]:
    """The ids of whom it may have been done to."""
    told = (read_id(str(event.payload.get(name, ""))) for name in ("member", "user_id"))
    return [event.object_id, *told]


def _given(ids: Iterable[UUID | None]) -> set[UUID]:
    return {id for id in ids if id is not None}


def rows(events: Sequence[Event]) -> list[Row]:
    """The events in words."""
    names = Names(events)
    return [
        Row(
            event=event,
            who=names.who(event),
            by_operator=_is_by_operator(event),
            did=audit_words.did(event.kind),
            objects=names.objects(event),
            changes=audit_words.changed(event.payload),
            place=event.address or "",
        )
        for event in events
    ]


def choices(known: Sequence[str]) -> list[tuple[str, str]]:
    """The groups of the kinds there are, those of daily work last."""
    groups = {kind.partition(".")[0]: audit_words.group(kind) for kind in known}
    return sorted(groups.items(), key=lambda group: (group[0] in DAILY, group[1]))


def last_check() -> EventCheck | None:
    """How the last check of the log went."""
    return EventCheck.objects.order_by("-checked_at").first()


# --- Files ----------------------------------------------------------------------------------------
def facts(event: Event, names: Names) -> dict[str, Any]:
    """The event with the columns of an exported file."""
    values: dict[str, Any] = {
        name: getattr(event, name, None) for name in COLUMNS if name not in {"time", "actor"}
    }
    values["time"] = event.inserted_at.astimezone(UTC).isoformat()
    values["actor"] = names.who(event)
    return {name: values[name] for name in COLUMNS}


def json_lines(pages: Iterable[list[dict[str, Any]]]) -> Iterator[bytes]:
    """An object a line."""
    for page in pages:
        yield "".join(
            json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in page
        ).encode()


def csv_lines(pages: Iterable[list[dict[str, Any]]]) -> Iterator[bytes]:
    """A row each, cells that begin like a formula made harmless."""
    yield (",".join(COLUMNS) + "\r\n").encode()
    for page in pages:
        text = io.StringIO()
        writer = csv.writer(text)
        for row in page:
            writer.writerow([_cell(row[name]) for name in COLUMNS])
        yield text.getvalue().encode()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, dict):
        return protect(json.dumps(value, ensure_ascii=False))
    return protect(str(value))
