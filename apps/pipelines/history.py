"""Suggestions of models: the newest one counts, and what each agent said before is kept."""

import json
from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from apps.core.ids import uuid7s
from apps.core.prepared import raw_cursor
from apps.core.tenancy import current
from apps.datasets.schema import QuestionRule
from apps.pipelines.models import SuggestionVersion
from apps.pipelines.parsers import Answer
from apps.pipelines.recipes.base import Context, Usage
from apps.quality.head import Proposal
from apps.quality.suggestions import lock_records, write_suggestions
from apps.records.models import SuggestionType

MAX_RATIONALE: Final = 5_000  # characters

# What stands there before it is replaced; what is known already stays as it is.
_KEEP: Final = """
INSERT INTO suggestion_version AS old (organization_id, id, record_id, question_id, dataset_id,
    agent, type, value, score, details, inserted_at, updated_at)
SELECT s.organization_id, s.id, s.record_id, s.question_id, s.dataset_id, coalesce(s.agent, ''),
    s.type, s.value, s.score, '{}', s.inserted_at, s.updated_at
FROM suggestion s WHERE s.organization_id = %(o)s AND s.question_id = %(q)s
    AND s.record_id = ANY (%(ids)s) AND s.agent IS DISTINCT FROM %(agent)s
ON CONFLICT (organization_id, record_id, question_id, agent) DO UPDATE SET
    value = excluded.value, score = excluded.score, type = excluded.type, details = '{}',
    job_id = NULL, prompt_version_id = NULL, guidelines_version = NULL,
    updated_at = excluded.updated_at
WHERE (old.value, old.score) IS DISTINCT FROM (excluded.value, excluded.score)
"""
_ADD: Final = """
INSERT INTO suggestion_version (organization_id, id, record_id, question_id, dataset_id, agent,
    type, value, score, job_id, prompt_version_id, guidelines_version, details, inserted_at,
    updated_at)
SELECT %(o)s, new.id, new.record_id, %(q)s, %(d)s, %(agent)s, %(type)s, new.value::jsonb,
    new.score::jsonb, %(job)s, %(prompt)s, %(guidelines)s, new.details::jsonb, %(now)s, %(now)s
FROM unnest(%(new_ids)s::uuid[], %(ids)s::uuid[], %(values)s::text[], %(scores)s::text[],
    %(details)s::text[]) AS new (id, record_id, value, score, details)
ON CONFLICT (organization_id, record_id, question_id, agent) DO UPDATE SET
    value = excluded.value, score = excluded.score, type = excluded.type,
    job_id = excluded.job_id, prompt_version_id = excluded.prompt_version_id,
    guidelines_version = excluded.guidelines_version, details = excluded.details,
    updated_at = excluded.updated_at
"""


@transaction.atomic
def keep_suggestions(
    *,
    context: Context,
    rule: QuestionRule,
    answers: Mapping[UUID, tuple[Answer, Usage]],
) -> None:
    """Store a model's answers by record: in the history, and as the records' suggestions.

    Where another agent's suggestion is replaced it is kept. Doing it again changes nothing.
    Raises ``RetryLaterError`` while somebody else is writing one of the records.
    """
    ids = lock_records(list(answers))
    if not ids:
        return
    facts = _facts(context, rule, {id: answers[id] for id in ids})
    raw_cursor().execute(_KEEP, facts)
    raw_cursor().execute(_ADD, facts)
    write_suggestions(
        question=rule.question,
        record_ids=ids,
        proposals=[Proposal(answers[id][0].value, answers[id][0].score) for id in ids],
        overwrite=context.params.overwrite,
        agent=context.agent,
        pending_only=False,
    )


def _facts(
    context: Context, rule: QuestionRule, answers: Mapping[UUID, tuple[Answer, Usage]]
) -> dict[str, Any]:
    chosen = [answer for answer, _ in answers.values()]
    return {
        "o": current(),
        "q": rule.id,
        "d": context.dataset.id,
        "agent": context.agent,
        "type": SuggestionType.MODEL.value,
        "now": timezone.now(),
        "job": context.job_id,
        "prompt": context.prompt.version_id,
        "guidelines": context.prompt.guidelines_version,
        "new_ids": uuid7s(len(answers)),
        "ids": list(answers),
        "values": [_json(answer.value) for answer in chosen],
        "scores": [None if one.score is None else _json(one.score) for one in chosen],
        "details": [_json(_details(answer, usage)) for answer, usage in answers.values()],
    }


def _details(answer: Answer, usage: Usage) -> dict[str, Any]:
    return {
        "rationale": answer.rationale[:MAX_RATIONALE],
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "usd": str(usage.usd),
        "cache_hit": usage.from_cache,
    }


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def suggestion_history(*, record_id: UUID, question_id: UUID) -> list[SuggestionVersion]:
    """What agents have said of a record so far, the newest first."""
    rows = SuggestionVersion.objects.filter(record_id=record_id, question_id=question_id)
    return list(rows.select_related("prompt_version").order_by("-updated_at", "-id"))
