"""The kind of job that runs any recipe."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import partial
from typing import Any, Final
from uuid import UUID

from django.db import OperationalError, transaction

from apps.core.errors import DomainError, InvalidError
from apps.core.tenancy import enter
from apps.jobs.errors import AbandonJobError, PauseJobError, RetryLaterError
from apps.jobs.kinds import Planned, StreamedKind, Undone, Work
from apps.jobs.models import Job
from apps.jobs.services import note_refused
from apps.llms import batching, calls
from apps.llms.budgets import BudgetReachedError
from apps.llms.calls import Ask, Outcome, Prepared
from apps.llms.errors import ProviderError
from apps.llms.wire import Request
from apps.pipelines.conversation import Conversation
from apps.pipelines.dry_runs import store_dry_run
from apps.pipelines.recipes.base import Answered, Context, Recipe, Usage
from apps.pipelines.runs import Connections, context_of, recipe_of
from apps.pipelines.steering import SHORTEST_WAIT, steer

BATCH_SECONDS: Final = 6 * 3600.0  # until an item whose batch nobody told of is looked at again


@dataclass
class Loaded:
    """An item with its calls prepared; ``error`` where they could not be made."""

    context: Context
    material: Any = None
    requests: list[Request] = field(default_factory=list)
    prepared: list[Prepared] = field(default_factory=list)
    error: Exception | None = None


class RecipeKind(StreamedKind[Loaded, Conversation]):
    """Runs a recipe over its items; in a dry run stores what would have been written."""

    def plan(self, job: Job, *, organization_id: UUID) -> Iterator[Planned]:
        with enter(organization_id):
            context = context_of(job)
        recipe, count = recipe_of(job), job.params.get("dry_run")
        chosen = recipe.plan(context) if count is None else recipe.sample(context, count)
        for payload in chosen:
            yield Planned(payload)

    def read_many(self, works: Sequence[Work]) -> Sequence[Loaded]:
        job = works[0].job
        context, recipe = context_of(job), recipe_of(job)
        materials = recipe.load(context, [work.payload for work in works])
        items = [
            Loaded(_anew(context, work), material)
            for work, material in zip(works, materials, strict=True)
        ]
        for item in items:
            try:
                item.requests = recipe.requests(item.context, item.material)
            except DomainError as error:
                item.error = error
        prepare = _prepare_in_batches if job.params.get("in_batches") else _prepare
        prepared = iter(
            prepare(
                [
                    (work, request)
                    for work, item in zip(works, items, strict=True)
                    for request in item.requests
                ]
            )
        )
        for item in items:
            item.prepared = [next(prepared) for _ in item.requests]
        return items

    async def compute(self, work: Work, material: Loaded) -> Conversation:
        talk = Conversation(
            recipe_of(work.job), material.context, material.material, partial(_prepare_more, work)
        )
        if material.error is not None:
            talk.error = material.error
        else:
            await talk.hold(material.requests, material.prepared)
        return talk

    def write_many(self, pairs: Sequence[tuple[Work, Conversation]]) -> Sequence[Decimal | Undone]:
        job = pairs[0][0].job
        recipe = recipe_of(job)
        try:
            context = context_of(job, hold=True)
        except AbandonJobError as error:
            spent = _settle([talk.outcomes for _, talk in pairs])
            return [Undone(error, cost) for cost in spent]
        for _, talk in pairs:
            refuse_outdated(talk, context)
        spent = _settle([talk.outcomes for _, talk in pairs])
        answered = [
            Answered(work.seq, talk.material, talk.result, usage_of(talk.outcomes))
            for work, talk in pairs
            if talk.error is None
        ]
        if context.is_dry:
            return [
                store_dry_run(context, recipe, work, talk, usage_of(talk.outcomes), cost)
                for (work, talk), cost in zip(pairs, spent, strict=True)
            ]
        useless = [work.seq for work, talk in pairs if _is_useless(talk)]
        if useless:
            note_refused(job_id=job.id, seqs=useless)
        unwritten = write_apart(recipe, context, answered)
        return [
            cost if error is None else Undone(error, cost)
            for (work, talk), cost in zip(pairs, spent, strict=True)
            for error in [talk.error or unwritten.get(work.seq)]
        ]

    def settle_lost(self, pairs: Sequence[tuple[Work, Conversation]]) -> Decimal:
        return sum(_settle([talk.outcomes for _, talk in pairs]), Decimal(0))

    def release_many(self, pairs: Sequence[tuple[Work, Loaded]]) -> None:
        calls.release([prepared for _, item in pairs for prepared in item.prepared])

    async def close(self) -> None:
        await calls.close()


def _is_useless(talk: Conversation) -> bool:
    """Whether the model answered, and what it said cannot be used."""
    return bool(talk.outcomes) and isinstance(talk.error, InvalidError)


def _anew(context: Context, work: Work) -> Context:
    """The item's own context: what could not be used is asked again past the cache, which would
    only repeat it."""
    refused = work.payload.get("refused")
    if not refused:
        return context
    salt = f"{context.asking.salt} again {refused}".strip()
    return replace(context, asking=context.asking.model_copy(update={"salt": salt}))


def refuse_outdated(talk: Conversation, context: Context) -> None:
    """An answer to questions that were edited meanwhile may name options that are gone: it is not
    written, and the item comes back to be asked with the questions as they are."""
    asked, now = talk.context.schema.dataset, context.schema.dataset
    if talk.error is None and asked.schema_version != now.schema_version:
        talk.error = RetryLaterError("The questions were changed meanwhile.", seconds=0)


def write_apart(
    recipe: Recipe[Any, Any], context: Context, answered: Sequence[Answered[Any, Any]]
) -> dict[int, Exception]:
    """Write what can be written; why not, by number, of the others.

    Their answers are paid for and stay settled, so trying again finds them in the cache.
    """
    if not answered:
        return {}
    try:
        with transaction.atomic():
            recipe.write(context, answered)
    except OperationalError:
        raise
    except Exception as error:  # noqa: BLE001  (the engine decides what becomes of the item)
        if len(answered) == 1:
            return {answered[0].seq: error}
        middle = len(answered) // 2
        first = write_apart(recipe, context, answered[:middle])
        return first | write_apart(recipe, context, answered[middle:])
    return {}


def _prepare_in_batches(asked: Sequence[tuple[Work, Request]]) -> list[Prepared]:
    """Hand in what is asked for the first time; what a batch left unanswered is asked directly.

    What is on its way is not looked for again before its batches are done: ``wake_batches``.
    """
    again = [work.attempt > 1 for work, _ in asked]
    is_direct = any(again) and batching.left_unanswered(asked[0][0].job.id)
    goes = [is_direct and one for one in again]
    sent = iter(_prepare([pair for pair, direct in zip(asked, goes, strict=True) if direct]))
    first = [pair for pair, direct in zip(asked, goes, strict=True) if not direct]
    handed = iter(_prepare(first, batching.order))
    prepared = [next(sent if direct else handed) for direct in goes]
    return [
        replace(one, busy_seconds=BATCH_SECONDS) if one.is_busy else replace(one, is_fetched=waited)
        for one, waited in zip(prepared, again, strict=True)
    ]


def _prepare(
    asked: Sequence[tuple[Work, Request]],
    prepare: Callable[[Sequence[Ask]], list[Prepared]] = calls.prepare,
) -> list[Prepared]:
    """Look the calls up in the cache and reserve what the others may cost."""
    if not asked:
        return []
    job = asked[0][0].job
    connections = Connections(job.params.get("provider_id"))
    try:
        return prepare(
            [
                Ask(
                    connections.to(request.model),
                    request,
                    job_id=job.id,
                    workspace_id=job.workspace_id,
                    seq=work.seq,
                    attempt=work.attempt,
                )
                for work, request in asked
            ]
        )
    except BudgetReachedError as error:
        raise PauseJobError(error.message) from error
    except ProviderError as error:
        raise steer(error) from error


def _prepare_more(work: Work, requests: Sequence[Request]) -> list[Prepared]:
    """For an item in flight. What it and others have set aside comes back when they land: only
    without that does a budget pause the job."""
    try:
        with transaction.atomic():
            return _prepare([(work, request) for request in requests])
    except PauseJobError as error:
        is_budget = isinstance(error.__cause__, BudgetReachedError)
        if is_budget and calls.has_reserved(job_id=work.job.id):
            raise RetryLaterError(str(error), seconds=SHORTEST_WAIT) from error
        raise


def _settle(outcomes: Sequence[Sequence[Outcome]]) -> list[Decimal]:
    """What each item's calls cost; one settlement for all of them."""
    costs = iter(calls.settle([outcome for several in outcomes for outcome in several]))
    return [sum((next(costs) for _ in several), Decimal(0)) for several in outcomes]


def usage_of(outcomes: Sequence[Outcome]) -> Usage:
    """Tokens and cost of all calls that were answered, whether paid for now or earlier."""
    replies = [outcome.reply for outcome in outcomes if outcome.reply is not None]
    return Usage(
        prompt_tokens=sum(reply.prompt_tokens for reply in replies),
        completion_tokens=sum(reply.completion_tokens for reply in replies),
        usd=sum((outcome.usd for outcome in outcomes), Decimal(0)),
        from_cache=bool(outcomes) and all(outcome.is_hit for outcome in outcomes),
    )
