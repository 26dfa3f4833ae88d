"""The prompts of a few records, without asking any model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from apps.core.errors import InvalidError
from apps.datasets.models import Dataset
from apps.organizations.models import Membership
from apps.pipelines.orders import RunOrder, prepare_context
from apps.pipelines.recipes.base import Context, Payload, Recipe
from apps.pipelines.recipes.registry import load


@dataclass(frozen=True, slots=True)
class Preview:
    """What a model would be told about a record, or why the prompt cannot be made."""

    record_id: UUID | None
    messages: Sequence[Mapping[str, str]] = ()
    error: str = ""

    @property
    def characters(self) -> int:
        return sum(len(message["content"]) for message in self.messages)


def preview_prompts(
    *, dataset: Dataset, order: RunOrder, member: Membership | None
) -> list[Preview]:
    """The first call of up to ``order.dry_run`` items. No provider is needed.

    Raises ``InvalidError`` for an order that cannot be carried out.
    """
    recipe = load(order.recipe)
    context = prepare_context(dataset=dataset, order=order, member=member)
    payloads = recipe.sample(context, order.dry_run or 1)
    materials = recipe.load(context, payloads)
    return [_preview(recipe, context, *pair) for pair in zip(payloads, materials, strict=True)]


def _preview(
    recipe: Recipe[Any, Any], context: Context, payload: Payload, material: Any
) -> Preview:
    record_id = UUID(payload["record"]) if "record" in payload else None
    try:
        requests = recipe.requests(context, material)
    except InvalidError as error:
        return Preview(record_id, error=error.message)
    return Preview(record_id, requests[0].messages if requests else ())
