"""Spans of our own files that no longer fit.

A text may be shortened after something in it was marked. The marks stay where they are stored, and
so they stand in an export, which must come back nevertheless.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from apps.annotation.models import ResponseStatus
from apps.datasets.models import QuestionType
from apps.datasets.schema import DatasetSchema
from apps.exchange.adjudications import JudgedRecord
from apps.records.inputs import RecordInput, ResponseInput

_WHY: Final = "beyond a shortened text"


def leave_out_misfits(record: RecordInput, schema: DatasetSchema) -> set[str]:
    """Leave out spans beyond the text of a record that brings its fields; returns what was.

    A suggestion or a decision with such spans goes. An answer keeps those that fit, as a draft:
    its author has yet to look at it again.
    """
    if record.fields is None:
        return set()
    fits = _Fits(schema, record.fields)
    names = {rule.id: name for name, rule in schema.questions.items()}
    given = {names[one.question_id]: one.value for one in record.suggestions}
    left_out = fits.misfits(given)
    record.suggestions = [
        one for one in record.suggestions if names[one.question_id] not in left_out
    ]
    answers = []
    for response in record.responses:
        values = {name: answer["value"] for name, answer in (response.values or {}).items()}
        misfits = fits.misfits(values)
        answers.append(fits.reduced(response, misfits) if misfits else response)
        left_out |= misfits
    record.responses = answers
    if isinstance(record, JudgedRecord) and record.adjudication is not None:
        decided = record.adjudication.ruling.values
        misfits = fits.misfits({name: one["value"] for name, one in decided.items()})
        if misfits:
            record.adjudication = None
        left_out |= misfits
    return {f"{name} ({_WHY})" for name in left_out}


class _Fits:
    """What fits the texts of one record."""

    def __init__(self, schema: DatasetSchema, fields: Mapping[str, Any]) -> None:
        self.lengths = {
            name: len(text) if isinstance(text := fields.get(rule.field or ""), str) else 0
            for name, rule in schema.questions.items()
            if rule.type == QuestionType.SPAN
        }

    def misfits(self, values: Mapping[str, Any]) -> set[str]:
        """The questions of which some spans lie beyond the text."""
        spans = {
            name: value
            for name, value in values.items()
            if name in self.lengths and isinstance(value, list)
        }
        return {
            name for name, value in spans.items() if any(self._is_beyond(name, s) for s in value)
        }

    def reduced(self, response: ResponseInput, misfits: set[str]) -> ResponseInput:
        """The answer as a draft, or discarded as it was, with the spans that fit."""
        values = dict(response.values or {})
        for name in misfits:
            spans = [span for span in values[name]["value"] if not self._is_beyond(name, span)]
            values[name] = {"value": spans}
        status = response.status
        if status == ResponseStatus.SUBMITTED:
            status = ResponseStatus.DRAFT
        return replace(response, status=status, values=values)

    def _is_beyond(self, name: str, span: Any) -> bool:
        end = span.get("end") if isinstance(span, Mapping) else None
        return type(end) is int and end > self.lengths[name]
