"""Starting a run: what is ordered, checked against what there is, with its price said before."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final, Literal
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from apps.core.errors import InvalidError
from apps.datasets.models import Dataset, Question
from apps.datasets.schema import load_schema
from apps.datasets.services import refuse_archived
from apps.jobs.models import Job, Queue
from apps.jobs.services import enqueue
from apps.llms.budgets import set_budget
from apps.llms.connections import ProviderConnection, connect
from apps.llms.errors import ProviderError
from apps.llms.models import Provider
from apps.llms.spending import BudgetScope
from apps.organizations.models import Membership
from apps.pipelines.estimates import Estimate, estimate_run
from apps.pipelines.models import PromptVersion
from apps.pipelines.recipes.base import (
    EVALUATION,
    MAX_AGENT,
    Asking,
    Context,
    Prompt,
    Recipe,
)
from apps.pipelines.recipes.registry import load
from apps.pipelines.runs import Connections, RunSpec, make_context, prompt_of, read_params
from apps.pipelines.selection import Selection
from apps.pipelines.versions import mark_used, prompt_now, save_prompt
from apps.records.models import Record

MAX_DRY: Final = 20  # items of a dry run


class Budget(BaseModel):
    """The most that a run may take; None is no limit of its own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_usd: Decimal | None = Field(default=None, gt=0, max_digits=14, decimal_places=8)
    max_tokens: int | None = Field(default=None, ge=1)


class RunRequest(BaseModel):
    """A run as people order it, but for its recipe.

    Either ``prompt_version_id``, which is taken as it is, or a prompt written here; its
    ``guidelines`` other than the dataset's are for dry runs alone. ``in_batches`` asks through the
    provider's batch API: at its lower price, within a day. ``params`` are the recipe's and
    the model's (``temperature``, ``top_p``, ``max_tokens``, ``seed``, ``n``, ``salt``) together.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    question: str | None = Field(default=None, max_length=200)
    provider_id: UUID | None = None
    model: str | None = Field(default=None, max_length=200)
    prompt_version_id: UUID | None = None
    template: str | None = Field(default=None, max_length=50_000)
    guidelines: str | None = Field(default=None, max_length=200_000)
    shots: int | None = Field(default=None, ge=0, le=50)
    strategy: Literal["nearest", "random", "errors"] | None = None
    params: dict[str, Any] = Field(default_factory=dict)
    selection: Selection = Selection()
    write_mode: str | None = Field(default=None, max_length=20)
    budget: Budget = Budget()
    dry_run: int | None = Field(default=None, ge=1, le=MAX_DRY)
    in_batches: bool = False


class RunOrder(RunRequest):
    """A run of the named recipe."""

    recipe: str = Field(max_length=60)


@dataclass(frozen=True, slots=True)
class _Terms:
    """What an order comes to: the model to ask, how, and in which words."""

    recipe: Recipe[Any, Any]
    question: Question | None
    connection: ProviderConnection | None
    version: PromptVersion | None
    prompt: Prompt
    params: dict[str, Any]
    asking: Asking


def prepare_context(*, dataset: Dataset, order: RunOrder, member: Membership | None) -> Context:
    """The context of a run that only looks: it needs no provider, and saves nothing.

    Raises ``InvalidError`` for what cannot be done.
    """
    terms = _terms(dataset, order, asks=False)
    return _context(dataset, _spec(dataset, order, terms, member), member)


def estimate_order(*, dataset: Dataset, order: RunOrder, member: Membership | None) -> Estimate:
    """What the run would take; nothing is saved, and nothing is asked of a model."""
    terms = _terms(dataset, order)
    context = _context(dataset, _spec(dataset, order, terms, member), member)
    return _estimate(order, terms, context)


@transaction.atomic
def start_run(
    *,
    dataset: Dataset,
    order: RunOrder,
    created_by: Membership | None = None,
    measures: bool = False,
) -> Job:
    """Queue the run; its estimate stands in ``job.params["estimate"]``.

    A dry run goes to the interactive queue and writes nothing but its own items. Any other run
    with a prompt has a prompt version, made here where the order names none, which from then on
    never changes. ``measures``: somebody keeps the answers of a run that is for them alone. Raises
    ``InvalidError`` for what cannot be done, ``ArchivedError``.
    """
    refuse_archived(dataset)
    terms = _terms(dataset, order)
    _check_startable(order, terms, measures=measures)
    if order.dry_run is None and terms.version is None and _has_prompt(terms):
        terms = _with_version(dataset, terms, created_by)
    spec = _spec(dataset, order, terms, created_by)
    context = _context(dataset, spec, created_by)
    estimate = _estimate(order, terms, context)
    if terms.version is not None and order.dry_run is None:
        mark_used(terms.version.id)
    job = enqueue(
        kind=order.recipe,
        params=_kept(spec, estimate),
        workspace=dataset.workspace,
        dataset_id=dataset.id,
        created_by=created_by,
        queue=Queue.BULK if order.dry_run is None else Queue.INTERACTIVE,
    )
    if order.budget.max_usd is not None or order.budget.max_tokens is not None:
        set_budget(
            scope=BudgetScope.JOB,
            subject_id=job.id,
            usd=order.budget.max_usd,
            tokens=order.budget.max_tokens,
        )
    return job


def _check_startable(order: RunOrder, terms: _Terms, *, measures: bool) -> None:
    if order.dry_run is None and order.guidelines is not None:
        raise InvalidError(_("Other guidelines than the dataset's can only be tried in a dry run."))
    if order.in_batches and (order.dry_run is not None or terms.connection is None):
        raise InvalidError(_("Batches are for runs that ask a model, and take up to a day."))
    if terms.recipe.write_modes == (EVALUATION,) and not measures:
        raise InvalidError(_("Nobody would keep the answers: start an evaluation instead."))


def _estimate(order: RunOrder, terms: _Terms, context: Context) -> Estimate:
    """Raises ``InvalidError`` for a model that cannot be asked, also where it is not the run's
    own."""
    own = terms.connection
    if own is None:
        return estimate_run(terms.recipe, context, None, items=order.dry_run)
    connections = Connections(own.provider_id)
    connections.found[own.model] = own

    def to(model: str) -> ProviderConnection:
        try:
            found = connections.to(model)
        except ProviderError as error:
            raise InvalidError(error.message) from error
        return found.in_batches if order.in_batches and order.dry_run is None else found

    return estimate_run(terms.recipe, context, to, items=order.dry_run)


def _kept(spec: RunSpec, estimate: Estimate) -> dict[str, Any]:
    """The run as its job remembers it."""
    if spec.prompt.version_id is not None:
        words = Prompt(version_id=spec.prompt.version_id)
        spec = spec.model_copy(update={"prompt": words})
    return spec.model_copy(update={"estimate": estimate.as_json()}).model_dump(mode="json")


def _terms(dataset: Dataset, order: RunOrder, *, asks: bool = True) -> _Terms:
    recipe = load(order.recipe)
    version = _version(dataset, order)
    question = _question(dataset, order, recipe, version)
    params, asking = split_params(recipe, order.params)
    if version is not None:
        params = {**version.params, **params} if version.recipe == order.recipe else params
        asking = Asking.model_validate({**version.asking, "salt": asking.salt})
        prompt = prompt_of(version)
    else:
        prompt = _prompt(dataset, order, question)
    return _Terms(
        recipe=recipe,
        question=question,
        connection=_connection(order, recipe, version, params) if asks else None,
        version=version,
        prompt=prompt,
        params=params,
        asking=asking,
    )


def split_params(
    recipe: Recipe[Any, Any], given: Mapping[str, Any]
) -> tuple[dict[str, Any], Asking]:
    """The recipe's parameters and the model's; a name that both have is for both."""
    own, asked = set(recipe.Params.model_fields), set(Asking.model_fields)
    params = {name: value for name, value in given.items() if name in own or name not in asked}
    try:
        asking = Asking.model_validate({name: given[name] for name in given if name in asked})
    except ValidationError as error:
        first = error.errors(include_context=False)[0]
        place = ".".join(["params", *map(str, first["loc"])])
        raise InvalidError(f"{place}: {first['msg']}") from error
    return params, asking


def _version(dataset: Dataset, order: RunOrder) -> PromptVersion | None:
    if order.prompt_version_id is None:
        return None
    written = (order.template, order.guidelines, order.shots, order.strategy)
    asked = set(order.params) & (set(Asking.model_fields) - {"salt"})
    if any(part is not None for part in written) or asked:
        raise InvalidError(_("A prompt version is taken as it is; save a new one to change it."))
    rows = PromptVersion.objects.filter(dataset=dataset, id=order.prompt_version_id)
    version: PromptVersion | None = rows.select_related("question").first()
    if version is None:
        raise InvalidError(_("This dataset has no prompt version %s.") % order.prompt_version_id)
    return version


def _question(
    dataset: Dataset,
    order: RunOrder,
    recipe: Recipe[Any, Any],
    version: PromptVersion | None,
) -> Question | None:
    if version is not None and version.question is not None:
        question: Question | None = version.question
        if order.question not in (None, version.question.name):
            raise InvalidError(_("The prompt version is about another question."))
    elif order.question is None:
        question = None
    else:
        question = Question.objects.filter(dataset=dataset, name=order.question).first()
        if question is None:
            raise InvalidError(
                f"Question not found filtering by name={order.question}, dataset_id={dataset.id}"
            )
    if question is None and recipe.needs_question:
        raise InvalidError(_("%s: name a question.") % recipe.title)
    types = recipe.question_types
    if question is not None and types is not None and question.type not in types:
        told = {"recipe": recipe.title, "type": question.type}
        raise InvalidError(_("%(recipe)s: not for %(type)s questions.") % told)
    return question


def _prompt(dataset: Dataset, order: RunOrder, question: Question | None) -> Prompt:
    prompt = prompt_now(
        dataset,
        question,
        template=order.template or "",
        shots=order.shots or 0,
        strategy=order.strategy or "nearest",
    )
    if order.guidelines is not None:
        return prompt.model_copy(update={"guidelines": order.guidelines})
    return prompt


def _connection(
    order: RunOrder,
    recipe: Recipe[Any, Any],
    version: PromptVersion | None,
    params: dict[str, Any],
) -> ProviderConnection | None:
    provider_id = order.provider_id or (version.provider_id if version else None)
    model = order.model or (version.model if version else None)
    if not recipe.needs_model(read_params(recipe, params)):
        return None
    if provider_id is None:
        raise InvalidError(_("Name the provider whose model shall be asked."))
    provider: Provider | None = Provider.objects.filter(id=provider_id).first()
    if provider is None:
        raise InvalidError(_("There is no provider %s.") % provider_id)
    try:
        return connect(provider=provider, model=model or None)
    except ProviderError as error:
        raise InvalidError(error.message) from error


def _has_prompt(terms: _Terms) -> bool:
    """Whether the run's words are worth a version: of a question, or a template of one's own."""
    return terms.connection is not None and bool(
        terms.recipe.needs_question or terms.prompt.template
    )


def _with_version(dataset: Dataset, terms: _Terms, author: Membership | None) -> _Terms:
    connection = terms.connection
    version = save_prompt(
        schema=load_schema(dataset),
        question=terms.question,
        prompt=terms.prompt,
        recipe=terms.recipe.name,
        provider_id=connection.provider_id if connection else None,
        model=connection.model if connection else "",
        params=terms.params,
        asking=terms.asking,
        author=author,
    )
    return replace(terms, version=version, prompt=prompt_of(version))


def _spec(dataset: Dataset, order: RunOrder, terms: _Terms, member: Membership | None) -> RunSpec:
    mode = order.write_mode or terms.recipe.write_modes[0]
    if mode not in terms.recipe.write_modes:
        told = {"recipe": terms.recipe.title, "modes": ", ".join(terms.recipe.write_modes)}
        raise InvalidError(_("%(recipe)s: write_mode is one of %(modes)s.") % told)
    spec = RunSpec(
        recipe=order.recipe,
        question_id=terms.question.id if terms.question else None,
        provider_id=terms.connection.provider_id if terms.connection else None,
        model=terms.connection.model if terms.connection else "",
        agent=_agent(order, terms),
        params=terms.params,
        asking=terms.asking,
        prompt=terms.prompt,
        selection=_settled(dataset, order.selection),
        write_mode=mode,
        dry_run=order.dry_run,
        in_batches=order.in_batches,
    )
    schema = load_schema(dataset)
    context = make_context(spec, dataset=dataset, schema=schema)
    spec.selection.matcher(schema, member.id if member else None)
    terms.recipe.check(context)
    return spec


def _agent(order: RunOrder, terms: _Terms) -> str:
    """``<provider>/<model>@<prompt version>``; the recipe's name where there is no version."""
    if terms.version is not None:
        signed = f"@{terms.version}"
    else:
        signed = f"@{order.recipe}" if order.dry_run is None else "@draft"
    model = terms.connection.agent if terms.connection else "stoneware"
    return model[: MAX_AGENT - len(signed)] + signed


def _settled(dataset: Dataset, selection: Selection) -> Selection:
    """Up to the newest record there is: what a run makes must not feed it."""
    if selection.upto is not None or selection.record_ids is not None:
        return selection
    newest = Record.objects.filter(dataset=dataset).order_by("-id").values_list("id", flat=True)
    return selection.model_copy(update={"upto": newest.first()})


def _context(dataset: Dataset, spec: RunSpec, member: Membership | None) -> Context:
    return make_context(
        spec,
        dataset=dataset,
        schema=load_schema(dataset),
        created_by_id=member.id if member else None,
    )
