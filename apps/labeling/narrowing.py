"""Which records of a queue a member wants to see, and in which order: words, filters, a sort.

The address says it as the explore page does (``apps/search/asked.py``), with ``sort`` beside it
(``apps/search/sorting.py``). ``status`` is the queue, and whose answers are meant is the member's.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

from django.urls import reverse
from django.utils.translation import gettext as _

from apps.annotation.models import ResponseStatus
from apps.annotation.queues import Part
from apps.core.ids import read_id
from apps.datasets.models import PropertyType, QueueOrder
from apps.datasets.schema import DatasetSchema
from apps.labeling.explore_facets import FacetCard, show_facets
from apps.organizations.models import Membership
from apps.search import searching
from apps.search.asked import Asked, read
from apps.search.bulk_answers import viewpoint_of
from apps.search.facets import Counts, count_facets
from apps.search.matching import Matcher
from apps.search.query import RecordScope, ResponseScope, Terms, Viewpoint
from apps.search.sorting import CERTAINTY, OLDEST, order_of, sort_names

PENDING: Final = "pending"
ALL: Final = "all"
MOST_PASSED: Final = 100
FILTERS: Final = ("suggested.", "answered.", "score.", "meta.")

_COUNT: Final = """
SELECT count(*) FILTER (WHERE x.record_id IS NOT NULL), count(*) FROM record r
LEFT JOIN response x ON x.organization_id = r.organization_id AND x.record_id = r.id
    AND x.user_id = %(me)s
WHERE {matching} AND (r.status = 'pending' OR x.record_id IS NOT NULL)
"""
_MINE: Final = """
FROM record r JOIN response x ON x.organization_id = r.organization_id AND x.record_id = r.id
    AND x.user_id = %(me)s AND x.status = ANY(%(statuses)s)
WHERE {matching}
"""
_PLACE: Final = """
SELECT number, before, after, total FROM (
    SELECT r.id, row_number() OVER listed AS number, lag(r.id) OVER listed AS before,
        lead(r.id) OVER listed AS after, count(*) OVER () AS total
    {mine} WINDOW listed AS (ORDER BY {order})
) places WHERE id = %(record)s
"""


@dataclass(frozen=True, slots=True)
class Way:
    """A way out of an empty queue: what is dropped, where that leads, and how many are there."""

    title: str
    url: str
    count: int


@dataclass
class Narrowing:
    """What is asked of a queue; ``passed`` are records that were skipped under it."""

    schema: DatasetSchema
    member: Membership
    asked: Asked
    sort: str = ""
    passed: Sequence[UUID] = ()
    problems: list[str] = field(default_factory=list)

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """As they stand in an address."""
        return [*self.asked.pairs, *([("sort", self.sort)] if self.sort else [])]

    @property
    def text(self) -> str:
        return urlencode(self.pairs)

    @property
    def is_filtered(self) -> bool:
        return bool(self.asked.pairs)

    @cached_property
    def viewpoint(self) -> Viewpoint:
        return viewpoint_of(self.schema, self.member)

    @cached_property
    def matcher(self) -> Matcher:
        return self.matching(self.asked)

    def matching(self, asked: Asked) -> Matcher:
        return searching.matcher_for(self.schema, asked, self.member.id, self.viewpoint)

    @cached_property
    def order(self) -> tuple[str, dict[str, Any]]:
        usual = {QueueOrder.LEAST_CERTAIN_FIRST: CERTAINTY}
        text = self.sort or usual.get(QueueOrder(self.schema.dataset.queue_order), OLDEST)
        return order_of(self.schema, text, self.viewpoint)

    @property
    def part(self) -> Part:
        """As records are handed out of it."""
        order, params = self.order
        condition = self.matcher.condition
        return Part(
            matching=condition.sql if condition else "true",
            order=f"ORDER BY {order}",
            params={**(condition.params if condition else {}), **params},
            passed=self.passed,
        )

    # --- Own answers --------------------------------------------------------------------------
    def find_place(self, statuses: Sequence[str], record_id: UUID) -> Any:
        """Number, record before, record after and how many, of own answers; None for a record
        that is not among them. One statement."""
        order, params = self.order
        statement = _PLACE.replace("{mine}", _MINE).replace("{order}", order)
        rows = self._select(statement, statuses, record=record_id, **params)
        return rows[0] if rows else None

    def first(self, statuses: Sequence[str]) -> UUID | None:
        """The record that a list of own answers begins with. One statement."""
        order, params = self.order
        statement = f"SELECT r.id {_MINE} ORDER BY {order} LIMIT 1"
        rows = self._select(statement, statuses, **params)
        return rows[0][0] if rows else None

    def count_mine(self, statuses: Sequence[str]) -> int:
        return int(self._select(f"SELECT count(*) {_MINE}", statuses)[0][0])

    def _select(self, statement: str, statuses: Sequence[str], **facts: Any) -> list[Any]:
        return self.matcher.select(statement, me=self.member.id, statuses=list(statuses), **facts)

    # --- Counts -------------------------------------------------------------------------------
    @cached_property
    def progress(self) -> tuple[int, int]:
        """Answered by the member, and all that they answered or may be asked for. One statement."""
        ((answered, total),) = self.matcher.select(_COUNT, me=self.member.id)
        return int(answered), int(total)

    @property
    def number(self) -> int:
        """Which of them the record on the table is."""
        answered, total = self.progress
        return min(answered + 1, total)

    @property
    def total(self) -> int:
        return self.progress[1]

    @property
    def left(self) -> int:
        answered, total = self.progress
        return total - answered

    def ways_out(self, status: str) -> list[Way]:
        """Without each filter, the most first. A statement for each of at most five."""
        found = []
        for title, left in self._drops():
            other = self._with(left)
            count = other.left if status == PENDING else other.count_mine(statuses_of(status))
            found.append(Way(title, other.url(status), count))
        return sorted((way for way in found if way.count), key=lambda way: -way.count)

    def _drops(self) -> Iterable[tuple[str, Asked]]:
        if self.asked.q:
            yield self.asked.q, replace(self.asked, q="")
        for key in self.asked.filter_keys[:4]:
            yield self.describe(key), self.asked.without(key)

    def describe(self, key: str) -> str:
        """A filter in words: its title, and what is wanted of it."""
        kind, _dot, name = key.partition(".")
        if kind == "meta":
            title = self.schema.properties[name].title
        else:
            title = self.schema.questions[name].question.title
        if key in self.asked.values:
            return f"{title}: {', '.join(self.asked.values[key])}"
        bounds = self.asked.ranges[key]
        return f"{title}: {bounds.ge or '…'} – {bounds.le or '…'}"

    def drops(self, status: str) -> list[tuple[str, str]]:
        """Each filter in words, and where it is dropped."""
        return [
            (self.describe(key), self._with(self.asked.without(key)).url(status))
            for key in self.asked.filter_keys
        ]

    def _with(self, asked: Asked) -> "Narrowing":
        return Narrowing(self.schema, self.member, asked, self.sort)

    # --- What can be chosen -------------------------------------------------------------------
    @property
    def sorts(self) -> list[tuple[str, str, bool]]:
        """Value, name, and whether it is chosen."""
        found = [("", _usual_order(self.schema))]
        for name in sort_names(self.schema, self.viewpoint):
            found += self._sort_options(name)
        return [(value, title, value == self.sort) for value, title in found]

    def _sort_options(self, name: str) -> list[tuple[str, str]]:
        kind, _dot, rest = name.partition(".")
        if name == OLDEST:
            return [(name, _("Oldest first"))]
        if name == CERTAINTY:
            return [(name, _("Least certain first"))]
        if kind == "score":
            title = self.schema.questions[rest].question.title
            low, high = _("Score, lowest: %s"), _("Score, highest: %s")
        else:
            part = self.schema.properties[rest]
            title = part.title
            terms = part.type == PropertyType.TERMS
            low, high = (
                (_("%s, A to Z"), _("%s, Z to A"))
                if terms
                else (_("%s, lowest first"), _("%s, highest first"))
            )
        return [(name, low % title), (f"-{name}", high % title)]

    @cached_property
    def facets(self) -> list[FacetCard]:
        """The filters, with what each would leave of the member's queue."""
        cards = show_facets(self.schema, self.asked, self._counts(), self.viewpoint)
        return [card for card in cards if card.key.startswith(FILTERS)]

    def _counts(self) -> Counts:
        mine = Terms(ResponseScope(member=self.member.id), [PENDING])
        beside = [mine, Terms(RecordScope("status"), [PENDING])]

        def without(key: str) -> Matcher:
            matcher = self.matching(self.asked.without(key))
            return replace(matcher, filters=[*matcher.filters, *beside])

        return count_facets(without, me=self.member.id, filtered=self.asked.filter_keys)

    def url(self, status: str = PENDING) -> str:
        """Where this part of the queue is answered."""
        pairs = [*([("status", status)] if status != PENDING else []), *self.pairs]
        path = reverse("labeling:annotate", args=[self.schema.dataset.id])
        return f"{path}?{urlencode(pairs)}" if pairs else path


def read_narrowing(
    schema: DatasetSchema, member: Membership, pairs: Sequence[tuple[str, str]]
) -> Narrowing | None:
    """What an address asks of the queue, as far as it makes sense; None where it asks nothing.

    Then nothing is looked up either.
    """
    ours = [(name, text) for name, text in pairs if name == "q" or name.startswith(FILTERS)]
    sort = next((text for name, text in pairs if name == "sort" and text), "")
    if not sort and not any(text.strip() for _name, text in ours):
        return None
    viewpoint = viewpoint_of(schema, member)
    asked, problems = read(schema, ours, viewpoint)
    if sort and sort.removeprefix("-") not in sort_names(schema, viewpoint):
        problems.append(_("Records cannot be sorted by “%s”.") % sort[:40])
        sort = ""
    ids = [found for name, text in pairs if name == "passed" and (found := read_id(text))]
    return Narrowing(schema, member, asked, sort, ids[-MOST_PASSED:], problems)


def statuses_of(status: str) -> list[str]:
    """The statuses of the answers in a list."""
    return ResponseStatus.values if status == ALL else [status]


def _usual_order(schema: DatasetSchema) -> str:
    if schema.dataset.queue_order == QueueOrder.LEAST_CERTAIN_FIRST:
        return _("As the dataset says: least certain")
    return _("As the dataset says: oldest")
