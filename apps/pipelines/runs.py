"""What a run is asked to do, as its job remembers it, and the context that its recipe gets."""

from collections import OrderedDict
from datetime import datetime
from threading import Lock
from typing import Any, Final
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from apps.core.errors import InvalidError
from apps.core.prepared import fetch_one, raw_cursor
from apps.core.tenancy import current
from apps.datasets.models import Dataset
from apps.datasets.schema import DatasetSchema, QuestionRule, load_schema
from apps.jobs.errors import AbandonJobError
from apps.jobs.models import Job
from apps.llms.connections import ProviderConnection, connect
from apps.llms.models import Provider
from apps.pipelines.models import PromptVersion
from apps.pipelines.recipes import registry
from apps.pipelines.recipes.base import Asking, Context, Params, Prompt, Recipe
from apps.pipelines.selection import Selection

REMEMBERED: Final = 64  # contexts of running jobs that a process keeps

_VERSION: Final = "SELECT schema_version FROM dataset WHERE organization_id = %(o)s AND id = %(d)s"
_HOLD_VERSION: Final = f"{_VERSION} FOR SHARE"


class RunSpec(BaseModel):
    """A run as JSON: what the job's ``params`` hold.

    ``agent`` signs what it writes. ``dry_run`` is the number of items to try, None for all. With
    ``in_batches`` the first calls of each item go to the provider as files, for its lower price.
    Of a ``prompt`` that is a version's, only its id is kept.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    recipe: str
    question_id: UUID | None = None
    provider_id: UUID | None = None
    model: str = ""
    agent: str = ""
    params: dict[str, Any] = Field(default_factory=dict)
    asking: Asking = Asking()
    prompt: Prompt = Prompt()
    selection: Selection = Selection()
    write_mode: str = ""
    dry_run: int | None = None
    in_batches: bool = False
    estimate: dict[str, Any] | None = None


def read_params(recipe: Recipe[Any, Any], given: dict[str, Any]) -> Params:
    """The recipe's parameters. Raises ``InvalidError`` that names what is wrong."""
    try:
        return recipe.Params.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_context=False)[0]
        place = ".".join(["params", *map(str, first["loc"])])
        raise InvalidError(f"{place}: {first['msg']}") from error


def recipe_of(job: Job) -> Recipe[Any, Any]:
    """The recipe of a job's kind."""
    return registry.load(str(job.params["recipe"]))


def prompt_of(version: PromptVersion) -> Prompt:
    """The version as a run takes it."""
    return Prompt(
        template=version.template,
        guidelines=version.guidelines,
        guidelines_version=version.guidelines_version,
        asked=version.asked,
        shots=version.shots,
        strategy=version.strategy,
        version_id=version.id,
    )


def make_context(
    spec: RunSpec,
    *,
    dataset: Dataset,
    schema: DatasetSchema,
    job_id: UUID | None = None,
    created_by_id: UUID | None = None,
    began_at: datetime | None = None,
) -> Context:
    """The context of a run. Raises ``InvalidError`` for parameters that the recipe does not take,
    or a question that is gone."""
    recipe = registry.load(spec.recipe)
    return Context(
        organization_id=current(),
        dataset=dataset,
        schema=schema,
        model=spec.model,
        agent=spec.agent,
        params=read_params(recipe, spec.params),
        asking=spec.asking,
        prompt=spec.prompt,
        selection=spec.selection,
        write_mode=spec.write_mode,
        question=_question(schema, spec.question_id),
        job_id=job_id,
        created_by_id=created_by_id,
        began_at=began_at,
        is_dry=spec.dry_run is not None,
    )


def _question(schema: DatasetSchema, question_id: UUID | None) -> QuestionRule | None:
    if question_id is None:
        return None
    rule = schema.questions_by_id.get(question_id)
    if rule is None:
        raise InvalidError("The question was deleted.")
    return rule


def context_of(job: Job, *, hold: bool = False) -> Context:
    """The context of a job, inside the organization: the same for all its items in this process
    until the dataset's fields or questions are edited.

    With ``hold`` nobody edits them before the transaction ends: who writes begins with it. Raises
    ``AbandonJobError`` when the dataset or the question is gone. Cost: 1 statement, and those of
    the first time.
    """
    key = (current(), job.id, _schema_version(job, hold=hold))
    with _lock:
        known = _contexts.get(key)
    if known is not None:
        return known
    datasets: Any = Dataset.objects.select_related("workspace")
    dataset: Dataset = datasets.get(id=job.dataset_id)
    try:
        made = make_context(
            _with_words(RunSpec.model_validate(job.params)),
            dataset=dataset,
            schema=load_schema(dataset),
            job_id=job.id,
            created_by_id=job.created_by_id,
            began_at=job.inserted_at,
        )
    except InvalidError as error:
        raise AbandonJobError(error.message) from error
    with _lock:
        _contexts[current(), job.id, dataset.schema_version] = made
        while len(_contexts) > REMEMBERED:
            _contexts.popitem(last=False)
    return made


def _schema_version(job: Job, *, hold: bool) -> int:
    statement = _HOLD_VERSION if hold else _VERSION
    row = raw_cursor().execute(statement, {"o": current(), "d": job.dataset_id}).fetchone()
    if row is None:
        raise AbandonJobError("The dataset was deleted.")
    return int(row[0])


def _with_words(spec: RunSpec) -> RunSpec:
    """The run with its prompt version's words."""
    if spec.prompt.version_id is None:
        return spec
    version = PromptVersion.objects.filter(id=spec.prompt.version_id).first()
    if version is None:
        raise AbandonJobError("The prompt version was deleted.")
    return spec.model_copy(update={"prompt": prompt_of(version)})


_contexts: OrderedDict[tuple[UUID, UUID, int], Context] = OrderedDict()
_lock = Lock()


class Connections:
    """The connections of a run by model, read when first needed, inside the organization."""

    def __init__(self, provider_id: UUID | None) -> None:
        self.provider_id = provider_id
        self.found: dict[str, ProviderConnection] = {}

    def to(self, model: str) -> ProviderConnection:
        """Raises ``ProviderError`` when there is no such model, or its key cannot be read."""
        if model not in self.found:
            self.found[model] = connect(provider=self._provider, model=model or None)
        return self.found[model]

    @property
    def _provider(self) -> Provider:
        provider = fetch_one(Provider, "t.id = %(id)s", id=self.provider_id)
        if provider is None:
            raise AbandonJobError("The provider was deleted.")
        return provider
