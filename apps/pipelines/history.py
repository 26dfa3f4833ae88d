"""Suggestions of models: the newest one counts, and what each agent said before is kept."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from apps.core.ids import uuid7s
from apps.core.prepared import as_rows, raw_cursor
from apps.core.tenancy import current
from apps.datasets.schema import QuestionRule
from apps.pipelines.models import SuggestionVersion
from apps.pipelines.recipes.base import Context, Usage
from apps.quality.head import Proposal
from apps.quality.suggestions import lock_records, store_suggestions
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
FROM json_to_recordset(%(rows)s::json)
    AS new (id uuid, record_id uuid, value text, score text, details text)
ON CONFLICT (organization_id, record_id, question_id, agent) DO UPDATE SET
    value = excluded.value, score = excluded.score, type = excluded.type,
    job_id = excluded.job_id, prompt_version_id = excluded.prompt_version_id,
    guidelines_version = excluded.guidelines_version, details = excluded.details,
    updated_at = excluded.updated_at
"""


@dataclass(frozen=True, slots=True)
class Said:
    """A model's proposal for a record, and how it came about."""

    proposal: Proposal
    usage: Usage = field(default_factory=Usage)
    rationale: str = ""

    @property
    def details(self) -> dict[str, Any]:
        return {
            "rationale": self.rationale[:MAX_RATIONALE],
            "prompt_tokens": self.usage.prompt_tokens,
            "completion_tokens": self.usage.completion_tokens,
            "usd": str(self.usage.usd),
            "cache_hit": self.usage.from_cache,
        }


@transaction.atomic(savepoint=False)
def keep_suggestions(
    *, context: Context, rule: QuestionRule, said: Mapping[UUID, Said], overwrite: bool = True
) -> None:
    """Store a run's proposals by record: in the history, and as the records' suggestions.

    Values are in stored form. Suggestions of other agents are kept, and replaced if
    ``overwrite``. Doing it again changes nothing. Raises ``RetryLaterError`` while somebody else
    is writing one of the records.
    """
    ids = lock_records(list(said))
    if not ids:
        return
    facts = _facts(context, rule, {id: said[id] for id in ids})
    raw_cursor().execute(_KEEP, facts)
    raw_cursor().execute(_ADD, facts)
    store_suggestions(
        question=rule.question,
        proposals={id: said[id].proposal for id in ids},
        overwrite=overwrite,
        agent=context.agent,
    )


def _facts(context: Context, rule: QuestionRule, said: Mapping[UUID, Said]) -> dict[str, Any]:
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
        "ids": list(said),
        "rows": as_rows(
            {
                "id": id,
                "record_id": record_id,
                "value": _json(one.proposal.value),
                "score": None if one.proposal.score is None else _json(one.proposal.score),
                "details": _json(one.details),
            }
            for id, (record_id, one) in zip(uuid7s(len(said)), said.items(), strict=True)
        ),
    }


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def suggestion_history(*, record_id: UUID, question_id: UUID) -> list[SuggestionVersion]:
    """What agents have said of a record so far, the newest first."""
    rows = SuggestionVersion.objects.filter(record_id=record_id, question_id=question_id)
    return list(rows.select_related("prompt_version").order_by("-updated_at", "-id"))
