"""What evaluations show: reports, comparisons, and the records behind a figure."""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from django.db.models import Count, F, Sum

from apps.core.errors import ConflictError, InvalidError
from apps.datasets.schema import load_schema
from apps.evaluation.models import Evaluation, EvaluationAnswer, GoldAnswer, GoldSet, Split
from apps.quality.causes import is_possible
from apps.quality.measures import comparison
from apps.quality.measures.labels import NONE, confusion, places
from apps.quality.measures.report import BINARY, Measured, confusion_cells, report

MOST_SHOWN: Final = 200  # disagreements named at once


def measured_of(evaluation: Evaluation, split: Split) -> tuple[list[UUID], Measured]:
    """The split's records, in the order of their ids, and the answers to be measured. Two queries.

    Right answers whose option is gone are left out.
    """
    gold_set = evaluation.gold_set
    rule = load_schema(gold_set.dataset).questions_by_id.get(gold_set.question_id)
    if rule is None:
        raise InvalidError("The question was deleted.")
    gold = GoldAnswer.objects.filter(gold_set=gold_set, split=split).order_by("record")
    rows = [
        row for row in gold.values_list("record_id", "value", "people") if is_possible(rule, row[1])
    ]
    answers = EvaluationAnswer.objects.filter(evaluation=evaluation)
    given = {
        id: (value, confidence)
        for id, value, confidence in answers.values_list("record_id", "value", "confidence")
        if is_possible(rule, value)
    }
    found = [given.get(id, (None, None)) for id, _, _ in rows]
    return [id for id, _, _ in rows], Measured(
        rule=rule,
        truth=[value for _, value, _ in rows],
        predicted=[value for value, _ in found],
        people=[people for _, _, people in rows],
        confidences=[confidence for _, confidence in found],
    )


def report_of(evaluation: Evaluation, split: Split) -> dict[str, Any]:
    """The report of a split, with its confusion and what it cost."""
    _, measured = measured_of(evaluation, split)
    return {**report(measured), "confusion": _confusion(measured), "cost": _cost(evaluation)}


def _confusion(measured: Measured) -> dict[str, Any] | None:
    """Counts by (true, answered); the last column is for what was not answered."""
    if measured.rule.type not in BINARY:
        return None
    values = measured.values
    truth, found = (places(values, given) for given in (measured.truth, measured.predicted))
    kept = truth != NONE
    table = confusion(truth[kept], found[kept], len(values))
    return {"values": values, "counts": table.tolist()}


def _cost(evaluation: Evaluation) -> dict[str, Any]:
    """The price in USD, in all and of a record, and tokens of a record; of what was answered.

    It is the same whether the cache answered or not: what the version would take elsewhere.
    """
    rows = EvaluationAnswer.objects.filter(evaluation=evaluation)
    found = rows.aggregate(
        total=Sum("usd"), n=Count("*"), tokens=Sum(F("prompt_tokens") + F("completion_tokens"))
    )
    usd, n = float(found["total"] or 0), found["n"] or 1
    return {
        "usd": usd,
        "usd_per_record": usd / n,
        "tokens_per_record": (found["tokens"] or 0) / n,
    }


# --- The records behind the figures: of the development split alone ------------------------------
def cell_records(evaluation: Evaluation, *, true: Any, answered: Any) -> list[UUID]:
    """The records in a cell of the confusion; ``answered`` None is for no valid answer."""
    ids, measured = measured_of(evaluation, Split.DEV)
    values = measured.values
    if true not in values or answered not in (None, *values):
        raise InvalidError("The question has no such option.")
    column = len(values) if answered is None else values.index(answered)
    cells = confusion_cells(measured)
    return [ids[place] for place in cells.get((values.index(true), column), ())]


def disagreements(evaluation: Evaluation) -> list[dict[str, Any]]:
    """Where the evaluation and the gold set differ, worst first; up to ``MOST_SHOWN``."""
    ids, measured = measured_of(evaluation, Split.DEV)
    wrong = comparison.disagreeing(measured)[:MOST_SHOWN]
    reasons = _rationales(evaluation, [ids[place] for place in wrong])
    return [
        {
            "record_id": ids[place],
            "gold": measured.truth[place],
            "answer": measured.predicted[place],
            "confidence": measured.confidences[place],
            "rationale": reasons.get(ids[place], ""),
        }
        for place in wrong
    ]


def _rationales(evaluation: Evaluation, record_ids: Sequence[UUID]) -> Mapping[UUID, str]:
    rows = EvaluationAnswer.objects.filter(evaluation=evaluation, record__in=record_ids)
    return dict(rows.values_list("record_id", "rationale"))


def compare(a: Evaluation, b: Evaluation, *, split: Split = Split.DEV) -> dict[str, Any]:
    """B against A on the same gold answers: both reports, a paired test, and where they differ.

    The records are named on the development split only. Raises ``InvalidError`` for two gold
    sets, ``ConflictError`` before both are measured on the split.
    """
    if a.gold_set_id != b.gold_set_id:
        raise InvalidError("Only evaluations against the same gold set can be compared.")
    for one in (a, b):
        if one.measured_at is None or split.value not in one.reports:
            raise ConflictError(f"The {split.label} split is not measured for both.")
    ids, first = measured_of(a, split)
    _, second = measured_of(b, split)
    told = comparison.compare(first, second)
    units = told.pop("units")
    shown = units[:MOST_SHOWN] if split == Split.DEV else []
    return {
        "split": split.value,
        "gold_set_id": a.gold_set_id,
        "test_looks": GoldSet.objects.values_list("test_looks", flat=True).get(id=a.gold_set_id),
        **told,
        "reports": {"a": a.reports[split.value], "b": b.reports[split.value]},
        "differing": len(units),
        "disagreements": [
            {
                "record_id": ids[place],
                "gold": first.truth[place],
                "a": first.predicted[place],
                "b": second.predicted[place],
            }
            for place in shown
        ],
    }
