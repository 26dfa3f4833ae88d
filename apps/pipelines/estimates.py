"""What a run will take, from the prompts of a few of its items."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import ceil, floor
from typing import Any, Final

from django.db.models import Avg, F, FloatField, Func, Max, Min
from django.db.models.functions import Cast

from apps.llms import ledger
from apps.llms.connections import ProviderConnection
from apps.llms.keys import request_key
from apps.llms.wire import Request
from apps.pipelines.models import DryRunItem
from apps.pipelines.recipes.base import Context, Recipe

PROBES: Final = 8  # items whose prompts are made
USUAL: Final = (20, 60, 200)  # tokens of an answer in a schema: least, mean, most
FREE_TEXT: Final = (50, 300, 1_000)  # and of one in words
OVERHEAD: Final = 8  # tokens a message takes beside its text

Connect = Callable[[str], ProviderConnection]  # by the model's name


@dataclass(frozen=True, slots=True)
class Estimate:
    """``requests`` in all, ``cached`` of them answered already; tokens and USD of the others.

    ``usd_min`` and ``usd_max``: if all items were as cheap, or as dear, as those looked at.
    ``items_in_all`` are those of the full run, also where ``items`` are only tried.
    """

    items_in_all: int
    items: int
    requests: int
    cached: int
    tokens: int
    usd: Decimal
    usd_min: Decimal
    usd_max: Decimal

    def as_json(self) -> dict[str, Any]:
        return {
            "items_in_all": self.items_in_all,
            "items": self.items,
            "requests": self.requests,
            "cached": self.cached,
            "tokens": self.tokens,
            "usd": float(self.usd),
            "usd_min": float(self.usd_min),
            "usd_max": float(self.usd_max),
        }


@dataclass(frozen=True, slots=True)
class _Item:
    """What one item takes: its calls that are not in the cache, at three lengths of answers."""

    requests: int
    cached: int
    tokens: int
    usd: tuple[Decimal, Decimal, Decimal]


def estimate_run(
    recipe: Recipe[Any, Any],
    context: Context,
    connect: Connect | None,
    *,
    items: int | None = None,
) -> Estimate:
    """Make the prompts of up to ``PROBES`` items and multiply. Calls no model.

    ``connect`` is None for a run that asks none; ``items`` limits the run. Raises ``InvalidError``
    where a prompt cannot be made, or as ``connect``.
    """
    in_all = recipe.count(context)
    count = in_all if items is None else min(in_all, items)
    payloads = recipe.probe(context, min(count, PROBES))
    materials = recipe.load(context, payloads)
    asked = [recipe.requests(context, material) for material in materials]
    if connect is None or not any(asked):
        return Estimate(in_all, count, 0, 0, 0, Decimal(0), Decimal(0), Decimal(0))
    lengths = _answer_lengths(recipe, context)
    tried = [_item(connect, requests, lengths) for requests in asked]
    return _multiplied(in_all, count, tried)


def _multiplied(in_all: int, count: int, tried: Sequence[_Item]) -> Estimate:
    n = len(tried)
    return Estimate(
        items_in_all=in_all,
        items=count,
        requests=round(count * sum(item.requests for item in tried) / n),
        cached=int(count * sum(item.cached for item in tried) / n),
        tokens=round(count * sum(item.tokens for item in tried) / n),
        usd=count * sum((item.usd[1] for item in tried), Decimal(0)) / n,
        usd_min=count * min(item.usd[0] for item in tried),
        usd_max=count * max(item.usd[2] for item in tried),
    )


def _item(
    connect: Connect, requests: Sequence[Request], lengths: tuple[int, int, int] | None
) -> _Item:
    connected = [(connect(request.model), request) for request in requests]
    keys = [request_key(connection, request) for connection, request in connected]
    known = ledger.find_responses(keys)
    open_ = [pair for key, pair in zip(keys, connected, strict=True) if key not in known]
    prompts = [prompt_tokens(connection, request) for connection, request in open_]
    answers = [_lengths(request, lengths) for _, request in open_]
    usd = [
        sum(
            (
                connection.price.usd(prompt, answer[which])
                for (connection, _), prompt, answer in zip(open_, prompts, answers, strict=True)
            ),
            Decimal(0),
        )
        for which in range(3)
    ]
    tokens = sum(prompts) + sum(answer[1] for answer in answers)
    return _Item(len(requests), len(requests) - len(open_), tokens, (usd[0], usd[1], usd[2]))


def prompt_tokens(connection: ProviderConnection, request: Request) -> int:
    """By characters, at the ratio learned from the model's past prompts."""
    characters = sum(len(message["content"]) for message in request.messages)
    overhead = OVERHEAD * len(request.messages)
    return overhead + round(characters / connection.characters_per_token)


def _lengths(request: Request, seen: tuple[int, int, int] | None) -> tuple[int, int, int]:
    least, mean, most = seen or (USUAL if request.schema is not None else FREE_TEXT)
    limit = request.max_tokens or most
    return min(least, limit), min(mean, limit), min(most, limit)


def _answer_lengths(recipe: Recipe[Any, Any], context: Context) -> tuple[int, int, int] | None:
    """Tokens of an answer in dry runs of the same recipe and question: least, mean and most.

    What an item took is spread over its calls.
    """
    rows = DryRunItem.objects.filter(
        job__dataset_id=context.dataset.id,
        job__params__recipe__in=_asking_alike(recipe),
        job__params__model=context.model,
        completion_tokens__gt=0,
        error="",
    ).exclude(calls=[])
    if context.question is not None:
        rows = rows.filter(job__params__question_id=str(context.question.id))
    calls = Func(F("calls"), function="jsonb_array_length", output_field=FloatField())
    each = Cast("completion_tokens", FloatField()) / calls
    seen = rows.aggregate(least=Min(each), mean=Avg(each), most=Max(each))
    if seen["mean"] is None:
        return None
    return floor(seen["least"]), round(seen["mean"]), ceil(seen["most"])


def _asking_alike(recipe: Recipe[Any, Any]) -> list[str]:
    """The recipe and those that it is made of, e.g. suggesting for an evaluation."""
    return [vars(kind)["name"] for kind in type(recipe).__mro__ if "name" in vars(kind)]
