"""One answer to many records, a page of them in one transaction.

Each record's answer is put together from what its person said before, its own suggestions where
they are accepted, and what is given for all, the last word winning. The set-based statement costs
a page ten statements, whatever its size; what it replaces is kept as in ``services``, under the
key of the act, so that it can be undone.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from apps.annotation import slots, versions
from apps.annotation.models import Response, ResponseStatus
from apps.annotation.services import recount
from apps.annotation.storing import COUNT_TODAY, NEWLY_SUBMITTED
from apps.core.documents import encode
from apps.core.errors import InvalidError
from apps.core.prepared import fetch, raw_cursor
from apps.core.tenancy import current
from apps.datasets.models import QuestionType
from apps.datasets.schema import DatasetSchema
from apps.datasets.services import hold_schema
from apps.datasets.values import clean_response, clean_value
from apps.events.log import Happening, emit_all
from apps.organizations.models import Membership
from apps.records.models import Record, Suggestion

Values = dict[str, Any]


@dataclass(frozen=True, slots=True)
class BulkAnswer:
    """What is said of every record: ``values`` by question name, ``{"value": …}`` each.

    ``accepted`` names questions to which each record's own suggestion is the answer. With
    ``keeps_mine`` records that the person has answered in whatever way stay as they are.
    """

    status: str
    values: Values = field(default_factory=dict)
    accepted: tuple[str, ...] = ()
    keeps_mine: bool = True

    def as_json(self) -> dict[str, Any]:
        return {
            "status": self.status,
            "values": self.values,
            "accepted": list(self.accepted),
            "keeps_mine": self.keeps_mine,
        }

    @classmethod
    def from_json(cls, given: Mapping[str, Any]) -> "BulkAnswer":
        accepted = tuple(given["accepted"])
        return cls(given["status"], dict(given["values"]), accepted, given["keeps_mine"])

    def check(self, schema: DatasetSchema) -> None:
        """Raise ``InvalidError`` where it would be wrong for whatever record.

        Spans belong to one text: all that can be said of many is that there are none.
        """
        if self.status == ResponseStatus.SUBMITTED and not (self.values or self.accepted):
            raise InvalidError("an answer to nothing")
        for name in (*self.values, *self.accepted):
            if name not in schema.questions:
                raise InvalidError(f"question with name={name!r} not found")
        for name, answer in self.values.items():
            rule = schema.questions[name]
            if rule.type != QuestionType.SPAN:
                clean_value(rule, answer["value"], {}, complete=True)
            elif answer["value"]:
                raise InvalidError(f"spans of {name!r} belong to one text")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a page: how many were stored, and kept as they were; reasons for others."""

    stored: int
    kept: int
    refused: dict[UUID, str]


# One statement: the answers are stored, what they replace is kept, their leases end, and they
# count against today's quota.
_STORE: Final = f"""
WITH stored AS (
    INSERT INTO response AS x (organization_id, id, record_id, user_id, dataset_id, status, values,
        request_key, inserted_at, updated_at)
    SELECT %(o)s, uuidv7(), record_id, %(user)s, %(d)s, %(status)s, values::jsonb, %(key)s,
        %(now)s, %(now)s
    FROM unnest(%(records)s::uuid[], %(values)s::text[]) AS given (record_id, values)
    ON CONFLICT (organization_id, record_id, user_id) DO UPDATE SET status = excluded.status,
        values = excluded.values, request_key = excluded.request_key,
        updated_at = excluded.updated_at
    WHERE x.request_key IS DISTINCT FROM excluded.request_key
    RETURNING new.id, new.record_id, new.user_id, old.id IS NULL AS is_new, {versions.OLD},
        {NEWLY_SUBMITTED}
), kept AS ({versions.keep("stored")}), ended AS (
    DELETE FROM lease l USING stored
    WHERE l.organization_id = %(o)s AND l.record_id = stored.record_id AND l.user_id = %(user)s
), noted AS (
    {COUNT_TODAY}
    FROM (SELECT coalesce(sum(newly_submitted), 0)::int AS newly_submitted FROM stored) g
    WHERE a.organization_id = %(o)s AND a.dataset_id = %(d)s AND a.user_id = %(user)s
)
SELECT id, record_id, is_new FROM stored
"""


@transaction.atomic
def answer_records(
    *,
    schema: DatasetSchema,
    annotator: Membership,
    answer: BulkAnswer,
    record_ids: Sequence[UUID],
    request_key: UUID,
) -> Outcome:
    """Store the annotator's answer to each record; the same key again changes nothing.

    Records that are gone, or to which the answer would be incomplete or wrong, are left out; all
    of them when the questions were changed so that they know nothing of it.
    """
    schema = hold_schema(schema.dataset)
    try:
        answer.check(schema)
    except InvalidError as error:
        return Outcome(0, 0, dict.fromkeys(record_ids, error.message))
    slots.lock_places(schema.dataset.id, [annotator.id])
    ids = slots.lock(record_ids)
    mine = _answers(annotator, ids)
    kept = {id for id in ids if _is_kept(mine.get(id), answer, request_key)}
    page = _Page(schema, answer, [id for id in ids if id not in kept], mine)
    values, refused = page.put_together()
    refused |= dict.fromkeys(set(record_ids) - set(ids), "the record is gone")
    stored = _store(schema, annotator, answer.status, values, request_key)
    if stored:
        emit_all([_happening(schema, answer.status, *row) for row in stored])
        recount(list(values))
    return Outcome(len(stored), len(kept), refused)


def _answers(annotator: Membership, ids: Sequence[UUID]) -> dict[UUID, Response]:
    condition = "record_id = ANY(%(ids)s) AND user_id = %(u)s"
    found = fetch(Response, condition, ids=list(ids), u=annotator.id)
    return {response.record_id: response for response in found}


def _is_kept(mine: Response | None, answer: BulkAnswer, key: UUID) -> bool:
    return mine is not None and (answer.keeps_mine or mine.request_key == key)


@dataclass(frozen=True, slots=True)
class _Page:
    schema: DatasetSchema
    answer: BulkAnswer
    ids: Sequence[UUID]
    mine: Mapping[UUID, Response]

    def put_together(self) -> tuple[dict[UUID, Values], dict[UUID, str]]:
        """Values by record, and reasons where there can be none."""
        fields, suggested = self._fields(), self._suggested()
        values: dict[UUID, Values] = {}
        refused: dict[UUID, str] = {}
        for id in self.ids:
            texts = fields.get(id, {})
            whole = {
                **self._before(id),
                **self._accepted(suggested.get(id, {}), texts),
                **self.answer.values,
            }
            try:
                values[id] = clean_response(self.schema, whole, self.answer.status, texts)
            except InvalidError as error:
                refused[id] = error.message
        return values, refused

    def _before(self, id: UUID) -> Values:
        """What was said to questions that are still asked."""
        before = self.mine.get(id)
        known = self.schema.questions
        return {n: v for n, v in before.values.items() if n in known} if before else {}

    def _accepted(self, suggested: Mapping[str, Any], fields: Mapping[str, Any]) -> Values:
        """Suggestions in the form of answers; those that would be wrong ones are passed over."""
        taken = {}
        for name, value in suggested.items():
            rule = self.schema.questions[name]
            try:
                taken[name] = {"value": clean_value(rule, value, fields, complete=True)}
            except InvalidError:
                continue
        return taken

    def _suggested(self) -> dict[UUID, dict[str, Any]]:
        accepted = self.answer.accepted
        rules = [self.schema.questions[n] for n in accepted if n in self.schema.questions]
        found: dict[UUID, dict[str, Any]] = defaultdict(dict)
        if not rules or not self.ids:
            return found
        condition = "record_id = ANY(%(ids)s) AND question_id = ANY(%(questions)s)"
        questions = [rule.id for rule in rules]
        for row in fetch(Suggestion, condition, ids=list(self.ids), questions=questions):
            found[row.record_id][self.schema.questions_by_id[row.question_id].name] = row.value
        return found

    def _fields(self) -> dict[UUID, Any]:
        """The records' texts, which spans are checked against; only where there are spans."""
        has_spans = any(r.type == QuestionType.SPAN for r in self.schema.questions.values())
        if not has_spans or not self.ids:
            return {}
        return {row.id: row.fields for row in fetch(Record, "id = ANY(%(i)s)", i=list(self.ids))}


def _store(
    schema: DatasetSchema,
    annotator: Membership,
    status: str,
    values: Mapping[UUID, Values],
    key: UUID,
) -> list[tuple[UUID, UUID, bool]]:
    """Response id, record id and whether it is new, of each answer that was stored."""
    if not values:
        return []
    now = timezone.now()
    facts = {
        "o": current(),
        "d": schema.dataset.id,
        "user": annotator.id,
        "status": status,
        "key": key,
        "now": now,
        "day": now.date(),
        "records": list(values),
        "values": [encode(one).decode() for one in values.values()],
    }
    return raw_cursor().execute(_STORE, facts).fetchall()


def _happening(
    schema: DatasetSchema, status: str, response_id: UUID, record_id: UUID, is_new: bool
) -> Happening:
    return Happening(
        "response.created" if is_new else "response.updated",
        dataset_id=schema.dataset.id,
        object_id=response_id,
        payload={"record": str(record_id), "status": status},
    )


def count_stored(*, annotator: Membership, dataset_id: UUID, request_key: UUID) -> int:
    """How many answers of the act still stand as it left them."""
    mine = Response.objects.filter(dataset_id=dataset_id, user=annotator)
    return mine.filter(request_key=request_key).count()
