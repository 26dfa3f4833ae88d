"""A search as text: what a person has chosen on a page, in an address, a saved view or a job.

``q=card stolen&mode=both&mine=pending&suggested.intent=refund&score.intent.from=.3``

- ``q`` words or a phrase, ``mode`` how it is looked for: ``words``, ``meaning`` or ``both``
- ``like`` a record's id, ``vector`` by which vector, ``least`` for the least similar,
  ``cosine`` from where on (up to where, for the least similar)
- ``record``, ids of records, for those that somebody has named one by one
- ``differ.<question>``, ``outcome.<question>``: pairs and outcomes as in ``between.py``
- ``mine``, ``status``, ``by``, ``suggested.<question>``, ``answered.<question>``,
  ``meta.<property>``: any of several values; ``score.<question>.from``, ``.to`` and
  ``meta.<property>.from``, ``.to``: a range
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import Final
from urllib.parse import parse_qsl, urlencode
from uuid import UUID

from django.utils.translation import gettext as _

from apps.annotation.models import ResponseStatus
from apps.core.ids import read_id
from apps.datasets.models import PropertyType, QuestionType
from apps.datasets.schema import DatasetSchema
from apps.records.models import RecordStatus
from apps.search.between import CLASSED, read_outcome, read_pair
from apps.search.query import (
    AnswererScope,
    Filter,
    MetadataScope,
    OutcomeScope,
    PairScope,
    Range,
    RecordScope,
    ResponseScope,
    Scope,
    SuggestionScope,
    Terms,
    Viewpoint,
)

WORDS: Final = "words"
MEANING: Final = "meaning"
BOTH: Final = "both"
MODES: Final = (WORDS, MEANING, BOTH)
MAX_PHRASE: Final = 1_000  # characters
MAX_VALUES: Final = 250  # of one filter
MAX_TEXT: Final = 16_000  # characters of a search as text; one of a phrase may take nine
MAX_ADDRESS: Final = 32_768  # of what a browser asks, which the web server lets through
CLOSE: Final = 0.3  # the cosine from which a phrase and a text mean something alike
CHOSEN: Final = {QuestionType.LABEL, QuestionType.MULTI_LABEL, QuestionType.RATING}
RECORD: Final = "record"
BETWEEN: Final = {"differ": read_pair, "outcome": read_outcome}
_PLAIN: Final = {"q", "mode", "like", "vector", "least", "cosine"}
_STATUSES: Final = {
    "mine": {"pending", *ResponseStatus.values},
    "status": set(RecordStatus.values),
}


@dataclass(frozen=True, slots=True)
class Bounds:
    """From and to, as exact as they were typed; empty for none."""

    ge: str = ""
    le: str = ""


@dataclass(frozen=True)
class Asked:
    """What is searched for; ``values`` and ``ranges`` are filters by key, e.g. ``meta.language``.

    ``cosine`` is None where nobody moved it.
    """

    q: str = ""
    mode: str = ""
    like: UUID | None = None
    vector: str = ""
    least: bool = False
    cosine: float | None = None
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    ranges: Mapping[str, Bounds] = field(default_factory=dict)

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Names and values in a fixed order."""
        plain = {
            "q": self.q,
            "mode": self.mode,
            "like": str(self.like or ""),
            "vector": self.vector,
            "least": "1" if self.least else "",
            "cosine": "" if self.cosine is None else _exact(self.cosine),
        }
        given = [(name, text) for name, text in plain.items() if text]
        given += [(key, one) for key in sorted(self.values) for one in self.values[key]]
        for key in sorted(self.ranges):
            bounds = self.ranges[key]
            ends = ((f"{key}.from", bounds.ge), (f"{key}.to", bounds.le))
            given += [(name, text) for name, text in ends if text]
        return given

    @property
    def text(self) -> str:
        """As it stands in an address."""
        return urlencode(self.pairs)

    @property
    def filter_keys(self) -> list[str]:
        return [*self.values, *self.ranges]

    def without(self, key: str) -> "Asked":
        """The same without one filter."""
        values = {name: given for name, given in self.values.items() if name != key}
        ranges = {name: given for name, given in self.ranges.items() if name != key}
        return replace(self, values=values, ranges=ranges)

    def filters(self, me: UUID) -> Iterator[Filter]:
        """As a search takes them; ``me`` is whose answers ``mine`` means."""
        for key, given in self.values.items():
            yield Terms(_scope(key, me), ["pending" if one == "nobody" else one for one in given])
        for key, bounds in self.ranges.items():
            kind, _dot, name = key.partition(".")
            scope: Scope = MetadataScope(name) if kind == "meta" else SuggestionScope(name, "score")
            yield Range(scope, bounds.ge or None, bounds.le or None)


def _scope(key: str, me: UUID) -> Scope:
    kind, _dot, name = key.partition(".")
    scopes: dict[str, Scope] = {
        "mine": ResponseScope(member=me),
        "status": RecordScope("status"),
        "record": RecordScope("id"),
        "by": AnswererScope(),
        "suggested": SuggestionScope(name),
        "answered": ResponseScope(name),
        "differ": PairScope(name),
        "outcome": OutcomeScope(name),
        "meta": MetadataScope(name),
    }
    return scopes[kind]


def _exact(number: float) -> str:
    """Every digit: what is rounded here would find other records."""
    return repr(number).removesuffix(".0")


def read_text(schema: DatasetSchema, text: str, viewpoint: Viewpoint) -> tuple[Asked, list[str]]:
    """As ``read``, of an address; one that is too long asks nothing at all, for a part of it would
    find other records."""
    if len(text) > MAX_TEXT:
        return Asked(), [_("This search is too long.")]
    return read(schema, parse_qsl(text), viewpoint)


def read(
    schema: DatasetSchema, pairs: Iterable[tuple[str, str]], viewpoint: Viewpoint
) -> tuple[Asked, list[str]]:
    """What is asked, as far as it makes sense here, and what was left out, in words.

    Names that are not ours are passed over, so that an address may carry more.
    """
    return _Reader(schema, viewpoint).read(pairs)


class _Reader:
    def __init__(self, schema: DatasetSchema, viewpoint: Viewpoint) -> None:
        self.schema = schema
        self.viewpoint = viewpoint
        self.problems: list[str] = []

    def read(self, pairs: Iterable[tuple[str, str]]) -> tuple[Asked, list[str]]:
        plain: dict[str, str] = {}
        values: dict[str, list[str]] = defaultdict(list)
        ends: dict[str, dict[str, str]] = defaultdict(dict)
        for name, raw in pairs:
            text = raw.replace("\0", "").strip()
            if not text:
                continue
            stem, _dot, end = name.rpartition(".")
            if name in _PLAIN:
                plain[name] = text[:MAX_PHRASE]
            elif end in {"from", "to"} and self._is_range(stem):
                ends[stem][end] = text
            elif self._is_filter(name) and text not in values[name]:
                values[name].append(text)
        asked = Asked(
            q=plain.get("q", ""),
            mode=self._mode(plain.get("mode", "")),
            like=self._record_id(plain.get("like", "")),
            vector=self._vector(plain.get("vector", "")),
            least="like" in plain and plain.get("least") == "1",
            cosine=self._cosine(plain.get("cosine", "")),
            values={key: found for key in values if (found := self._values(key, values[key]))},
            ranges={key: both for key in ends if (both := self._bounds(ends[key])) != Bounds()},
        )
        if len(asked.text) > MAX_TEXT:
            self.problems.append(_("This search is too long."))
        return asked, list(dict.fromkeys(self.problems))

    def _mode(self, text: str) -> str:
        if text and text not in MODES:
            self.problems.append(_("There is no way to search called “%s”.") % text[:40])
        return text if text in MODES else ""

    def _record_id(self, text: str) -> UUID | None:
        id = read_id(text)
        if text and id is None:
            self.problems.append(_("“%s” is not the id of a record.") % text[:40])
        return id

    def _vector(self, name: str) -> str:
        if name and name not in self.schema.vectors:
            self.problems.append(_("This dataset has no vector “%s” any more.") % name[:80])
            return ""
        return name

    def _cosine(self, text: str) -> float | None:
        number = self._number(text) if text else None
        return None if number is None else min(max(number, -1.0), 1.0)

    def _number(self, text: str) -> float | None:
        try:
            number = float(text)
        except ValueError:
            number = float("nan")
        if isfinite(number):
            return number
        self.problems.append(_("“%s” is not a number.") % text[:40])
        return None

    def _bounds(self, given: Mapping[str, str]) -> Bounds:
        ge, le = (self._number(given[end]) if end in given else None for end in ("from", "to"))
        if ge is not None and le is not None and ge > le:
            self.problems.append(_("A range must not end before it begins."))
            return Bounds()
        texts = ("" if number is None else _exact(number) for number in (ge, le))
        return Bounds(*texts)

    def _values(self, key: str, given: list[str]) -> tuple[str, ...]:
        known = _STATUSES.get(key)
        if key == RECORD:
            given = [str(id) for one in given if (id := self._record_id(one))]
        read_one = BETWEEN.get(key.partition(".")[0])
        if read_one is not None:
            given = [one for one in given if read_one(one) is not None]
        if known is not None and set(given) - known:
            self.problems.append(_("There is no status “%s”.") % min(set(given) - known)[:40])
        if len(given) > MAX_VALUES:
            self.problems.append(_("Of one filter at most %d values count.") % MAX_VALUES)
        return tuple(one for one in given if known is None or one in known)[:MAX_VALUES]

    def _is_filter(self, key: str) -> bool:
        kind, _dot, name = key.partition(".")
        if key in _STATUSES or key == RECORD:
            return True
        if key == "by":
            return self.viewpoint.own is None
        if kind in BETWEEN and name:
            types = set(QuestionType) if kind == "differ" else set(CLASSED)
            return self.viewpoint.own is None and self._is_question(name, types)
        if kind in {"suggested", "answered"} and name:
            return self._is_question(name, CHOSEN)
        return kind == "meta" and bool(name) and self._is_property(name, {PropertyType.TERMS})

    def _is_range(self, key: str) -> bool:
        kind, _dot, name = key.partition(".")
        if kind == "score" and name:
            return self._is_question(name, set(QuestionType))
        numbers = {PropertyType.INTEGER, PropertyType.FLOAT}
        return kind == "meta" and bool(name) and self._is_property(name, numbers)

    def _is_question(self, name: str, types: set[QuestionType]) -> bool:
        rule = self.schema.questions.get(name)
        if rule is None:
            self.problems.append(_("This dataset has no question “%s” any more.") % name[:80])
        return rule is not None and rule.type in types

    def _is_property(self, name: str, types: set[PropertyType]) -> bool:
        part = self.schema.properties.get(name)
        if part is None or name in self.viewpoint.hidden:
            self.problems.append(_("This dataset has no property “%s” any more.") % name[:80])
            return False
        return part.type in types
