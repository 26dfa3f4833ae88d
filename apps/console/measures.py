"""Evaluations as the pages show them: figures in words, the confusion as a heat map."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.datasets.schema import DatasetSchema, QuestionRule
from apps.evaluation.models import Evaluation
from apps.labeling.questions import hues
from apps.labeling.review_values import Shown, show_value
from apps.records.models import Record
from apps.records.text import searchable_text

MOST_CELLS: Final = 20  # labels of a heat map; of more, those that are confused most
LONGEST: Final = 240  # characters of a record in a list
STEPS: Final = 5  # k0 … k4

METRICS: Final[dict[str, Any]] = {
    "accuracy": gettext_lazy("Accuracy"),
    "macro_f1": gettext_lazy("Macro-F1"),
    "micro_f1": gettext_lazy("Micro-F1"),
    "kappa": gettext_lazy("Cohen’s κ"),
    "weighted_kappa": gettext_lazy("Weighted κ"),
    "mean_error": gettext_lazy("Mean error"),
    "jaccard": gettext_lazy("Jaccard"),
    "exact": gettext_lazy("Exactly right"),
    "overlap_f1": gettext_lazy("Overlap F1"),
    "exact_f1": gettext_lazy("Exact F1"),
    "mean_overlap_f1": gettext_lazy("Mean overlap F1"),
    "tau_b": gettext_lazy("Kendall’s τ"),
    "same_first": gettext_lazy("Same first"),
    "token_f1": gettext_lazy("Token F1"),
    "chrf": gettext_lazy("chrF"),
    "alpha_with_model": gettext_lazy("α with the model"),
}


@dataclass(frozen=True, slots=True)
class Column:
    """A measure, and what it comes to in each row."""

    name: str
    title: str


def columns_of(reports: Sequence[Mapping[str, Any]]) -> list[Column]:
    """The measures that any of the reports has, the primary one first."""
    names = dict.fromkeys(name for report in reports for name in in_order(report))
    return [Column(name, str(METRICS.get(name, name))) for name in names]


def in_order(report: Mapping[str, Any]) -> list[str]:
    """The names of a report's measures: first the one it is judged by."""
    known = {name: place for place, name in enumerate(METRICS)}
    names = sorted(report["metrics"], key=lambda name: known.get(name, len(known)))
    return sorted(names, key=lambda name: name != report["primary"])


@dataclass(frozen=True, slots=True)
class Cell:
    """``step`` is the shade, 0 to 4; ``answered`` None is the column without an answer."""

    n: int
    step: int
    answered: Any
    title: str


@dataclass(frozen=True, slots=True)
class Row:
    value: Any
    name: str
    total: int
    cells: Sequence[Cell]


@dataclass(frozen=True, slots=True)
class HeatMap:
    """Rows are what is right, columns what was answered; ``left_out`` labels are not shown."""

    names: Sequence[str]
    rows: Sequence[Row]
    left_out: int


def heat_map(rule: QuestionRule, confusion: Mapping[str, Any] | None) -> HeatMap | None:
    """The confusion of a report; None of what has none."""
    if not confusion:
        return None
    values, counts = confusion["values"], confusion["counts"]
    shown = _worth_showing(counts)
    unanswered = len(values)
    columns = [*shown, unanswered] if any(counts[n][unanswered] for n in shown) else shown
    texts = {value: text for value, (text, _hue) in hues(rule.question).items()}
    names = [*(texts.get(str(value), str(value)) for value in values), _("no answer")]
    rows = [
        Row(
            values[n],
            names[n],
            sum(counts[n]),
            [_cell(counts[n], m, values, names) for m in columns],
        )
        for n in shown
    ]
    return HeatMap([names[m] for m in columns], rows, len(values) - len(shown))


def _worth_showing(counts: Sequence[Sequence[int]]) -> list[int]:
    """The labels in their order; of too many those with the most mistakes, made or met."""
    places = range(len(counts))
    if len(counts) <= MOST_CELLS:
        return list(places)
    wrong = {n: sum(counts[n]) + sum(row[n] for row in counts) - 2 * counts[n][n] for n in places}
    return sorted(sorted(places, key=lambda n: -wrong[n])[:MOST_CELLS])


def _cell(row: Sequence[int], place: int, values: Sequence[Any], names: Sequence[str]) -> Cell:
    share = row[place] / (sum(row) or 1)
    step = min(int(share * STEPS), STEPS - 1) if row[place] else 0
    answered = values[place] if place < len(values) else None
    return Cell(row[place], step, answered, names[place])


# --- Records -------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Told:
    """A record with what is right and what was answered to it."""

    record_id: UUID
    text: str
    gold: Shown
    answers: Sequence[Shown | None]
    confidence: float | None = None
    why: str = ""


def tell(
    schema: DatasetSchema, rule: QuestionRule, rows: Sequence[Mapping[str, Any]], *names: str
) -> list[Told]:
    """Disagreements with their records' texts; ``names`` are those of the answers. One query."""
    ids = [row["record_id"] for row in rows]
    fields = dict(Record.objects.filter(id__in=ids).values_list("id", "fields"))
    return [
        Told(
            record_id=row["record_id"],
            text=searchable_text(fields[row["record_id"]], schema.fields)[:LONGEST],
            gold=show_value(rule, row["gold"], fields[row["record_id"]]),
            answers=[
                None if row[name] is None else show_value(rule, row[name], fields[row["record_id"]])
                for name in names
            ],
            confidence=row.get("confidence"),
            why=row.get("rationale", ""),
        )
        for row in rows
        if row["record_id"] in fields
    ]


def name_of(evaluation: Evaluation) -> str:
    """``v3``, or the agent that was measured."""
    version = evaluation.prompt_version
    return str(version) if version is not None else evaluation.agent
