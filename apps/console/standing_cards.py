"""The cards of the pages on progress and quality: a chart or a table each, and its numbers.

Cells are raw: numbers, shares, days. The page and the CSV file write them in their own ways.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.formats import date_format, number_format
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from apps.console.places import find_rule
from apps.console.templatetags.studio import share
from apps.datasets.models import Dataset
from apps.datasets.schema import DatasetSchema, QuestionRule, load_schema
from apps.exchange.cells import protect
from apps.quality import pace

WINDOWS: Final = (7, 30, 90)
USUAL: Final = 30
FEW: Final = 5  # columns of a heat map that fit in a card; of more it has twice the width
LISTED: Final = 200  # rows of a table on the page; the file has all


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a heat map: ``url`` leads to its records, ``step`` is its shade."""

    text: str
    step: int | None = None
    url: str = ""
    title: str = ""


@dataclass(frozen=True, slots=True)
class Heat:
    """``rows`` are named lists of cells; ``corner`` says what it is, ``axes`` what lies where."""

    corner: str
    names: Sequence[str]
    rows: Sequence[tuple[str, Sequence[Cell]]]
    axes: str = ""

    @property
    def is_wide(self) -> bool:
        return len(self.names) > FEW


@dataclass(frozen=True, slots=True)
class Card:
    """What is known; ``about`` stands beside the title, ``empty`` where there is nothing."""

    title: str
    about: str = ""
    strong: str = ""
    chart: SafeString | None = None
    heat: Heat | None = None
    model: str | None = None
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[Any]] = ()
    foot: str = ""
    empty: str = ""

    @property
    def listed(self) -> Sequence[Sequence[Any]]:
        return self.rows[:LISTED]


@dataclass(frozen=True)
class Look:
    """What a page looks at: a window of so many days, None for all, and one question."""

    dataset: Dataset
    schema: DatasetSchema
    rule: QuestionRule | None
    days: int | None

    @property
    def since(self) -> datetime | None:
        return pace.since_days(self.days)

    @property
    def query(self) -> str:
        """The choice as it stands in an address."""
        given = {"question": self.rule.name if self.rule else "", "days": str(self.days or "all")}
        return urlencode({name: text for name, text in given.items() if text})

    def explore(self, *pairs: tuple[str, str]) -> str:
        path = reverse("labeling:explore", args=[self.dataset.id])
        return f"{path}?{urlencode(pairs)}"


def read_look(dataset: Dataset, asked: Mapping[str, str]) -> Look:
    """What an address asks for; raises ``Http404`` for a question that is not there."""
    schema = load_schema(dataset)
    rule = find_rule(schema, asked.get("question", ""))
    return Look(dataset, schema, rule, read_days(asked.get("days", "")))


def read_days(text: str) -> int | None:
    """The window of an address; None is all, anything unknown the usual one."""
    if text == "all":
        return None
    return int(text) if text in {str(days) for days in WINDOWS} else USUAL


def count(value: float) -> str:
    """A number of things, in groups of three digits."""
    return number_format(round(value), force_grouping=True)


def show_day(day: date) -> str:
    # Translators: a day in a chart, in Django's format characters
    return date_format(day, _("M j"))


def show_cell(value: Any) -> str:
    """A raw cell as the page prints it."""
    if value is None:
        return "–"
    if isinstance(value, date):
        return date_format(value, "DATE_FORMAT")
    if isinstance(value, float):
        return share(value)
    return count(value) if isinstance(value, int) else str(value)


def write_cell(value: Any) -> str:
    """A raw cell as a CSV file has it, which no spreadsheet runs."""
    if value is None:
        return ""
    return protect(value) if isinstance(value, str) else str(value)
