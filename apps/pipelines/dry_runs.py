"""Dry runs: what a run would do, shown on a few items before it is paid for in full."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from apps.jobs.errors import FailedTryError, SteeringError
from apps.jobs.kinds import Undone, Work
from apps.jobs.models import Job
from apps.pipelines.conversation import Call, Conversation, reason
from apps.pipelines.models import DryRunItem
from apps.pipelines.recipes.base import Context, Recipe, Usage
from apps.pipelines.shots import agreed_values


def store_dry_run(
    context: Context,
    recipe: Recipe[Any, Any],
    work: Work,
    talk: Conversation,
    usage: Usage,
    cost: Decimal,
) -> Decimal | Undone:
    """Keep an item's prompts, answers and result, with what people answered; returns its cost.

    What failed is shown with its reason, and counts as done, but for what waits or stops the job.
    """
    if isinstance(talk.error, SteeringError | FailedTryError):
        return Undone(talk.error, cost)
    record_id = _record_id(work.payload)
    shown = None if talk.error else recipe.shown(context, talk.material, talk.result)
    DryRunItem.objects.update_or_create(
        job_id=work.job.id,
        seq=work.seq,
        defaults={
            "record_id": record_id,
            "calls": [_call_json(call) for call in talk.calls],
            "shown": shown,
            "gold": _gold(context, record_id),
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
            "usd": usage.usd,
            "from_cache": usage.from_cache,
            "error": reason(talk.error) if talk.error else "",
        },
    )
    return cost


def _record_id(payload: Mapping[str, Any]) -> UUID | None:
    found = payload.get("record")
    return UUID(found) if isinstance(found, str) else None


def _gold(context: Context, record_id: UUID | None) -> Any:
    if record_id is None or context.question is None:
        return None
    return agreed_values(context.schema, context.question, [record_id]).get(record_id)


def _call_json(call: Call) -> dict[str, Any]:
    return {
        "messages": [dict(message) for message in call.request.messages],
        "answer": call.text,
        "repaired": call.repaired,
    }


@dataclass(frozen=True, slots=True)
class Extrapolation:
    """What all ``items`` would take, going by a few: the mean, and the dearest and cheapest."""

    items: int
    tokens: int
    usd: Decimal
    usd_min: Decimal
    usd_max: Decimal

    def as_json(self) -> dict[str, Any]:
        return {
            "items": self.items,
            "tokens": self.tokens,
            "usd": float(self.usd),
            "usd_min": float(self.usd_min),
            "usd_max": float(self.usd_max),
        }


def extrapolation(job: Job, items: Sequence[DryRunItem]) -> Extrapolation:
    """What all items of the run would take, if they are like these of its dry run."""
    estimate = job.params.get("estimate") or {}
    count, tried = int(estimate.get("items_in_all", 0)), [item for item in items if item.calls]
    if not tried:
        return Extrapolation(count, 0, Decimal(0), Decimal(0), Decimal(0))
    tokens = sum(item.prompt_tokens + item.completion_tokens for item in tried)
    costs = [item.usd for item in tried]
    return Extrapolation(
        count,
        round(count * tokens / len(tried)),
        count * sum(costs, Decimal(0)) / len(tried),
        count * min(costs),
        count * max(costs),
    )


def dry_run_items(job: Job) -> list[DryRunItem]:
    """The items of a dry run that have been tried so far, in order."""
    return list(DryRunItem.objects.filter(job=job).order_by("seq"))
