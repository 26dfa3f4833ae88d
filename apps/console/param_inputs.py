"""The parameters of a recipe as inputs of a form, made of its ``Params``."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, Final

from apps.console.inputs import Input
from apps.console.run_words import ASKING, PARAMS, Source, Words, choice_words
from apps.datasets.models import Dataset, Question, QuestionType
from apps.datasets.schema import DatasetSchema, load_schema
from apps.drafts.models import Draft
from apps.jobs.models import Job
from apps.llms.models import ProviderModel
from apps.organizations.models import Membership
from apps.pipelines.recipes.base import Asking, Recipe

Options = list[tuple[str, str]]
NONE: Final = ("", "–")
_ASKED: Final = ("temperature", "n", "max_tokens", "seed")


class Choices:
    """What the parameters of a run in a dataset can be chosen from."""

    def __init__(self, dataset: Dataset, member: Membership, recipe: Recipe[Any, Any]) -> None:
        self.dataset, self.member, self.recipe = dataset, member, recipe
        self.schema: DatasetSchema = load_schema(dataset)
        self.target_id = ""
        self.question: Question | None = None

    @cached_property
    def fields(self) -> Options:
        return _texts(self.schema)

    @cached_property
    def target_fields(self) -> Options:
        """Fields of the dataset that gets the drafts."""
        target = next((one for one in self._others if str(one.id) == self.target_id), None)
        return _texts(load_schema(target)) if target else self.fields

    @cached_property
    def targets(self) -> Options:
        return [(str(one.id), one.name) for one in self._others]

    @cached_property
    def _others(self) -> list[Dataset]:
        rows = Dataset.objects.visible_to(self.member).filter(
            workspace_id=self.dataset.workspace_id
        )
        return list(rows.exclude(id=self.dataset.id).order_by("name")[:200])

    @cached_property
    def vectors(self) -> Options:
        return [(name, one.title or name) for name, one in self.schema.vectors.items()]

    @cached_property
    def models(self) -> Options:
        rows = ProviderModel.objects.visible_to(self.member).filter(kind="chat")
        names = rows.order_by("name").values_list("name", flat=True)
        return [(name, name) for name in dict.fromkeys(names)]

    @property
    def labels(self) -> Options:
        options = self.question.options if self.question else []
        return [(str(one["value"]), str(one.get("text") or one["value"])) for one in options]

    @cached_property
    def rating_questions(self) -> Options:
        rules = self.schema.questions.values()
        return [(r.name, r.question.title) for r in rules if r.type == QuestionType.RATING]

    @cached_property
    def draft_jobs(self) -> Options:
        ids = Draft.objects.of_dataset(self.dataset).waiting().order_by().values("job_id")
        jobs = Job.objects.filter(id__in=ids.distinct()).newest_first()[:50]
        return [(str(job.id), f"{job.inserted_at:%Y-%m-%d %H:%M}") for job in jobs]


def _texts(schema: DatasetSchema) -> Options:
    return [
        (one.name, one.title or one.name)
        for one in schema.fields.values()
        if one.settings.get("type") in {"text", "chat"}
    ]


def param_inputs(recipe: Recipe[Any, Any], choices: Choices) -> list[Input]:
    """An input for each parameter, with its usual value."""
    properties = recipe.Params.model_json_schema().get("properties", {})
    needed = recipe.Params.model_json_schema().get("required", [])
    made = [
        _input(f"p.{name}", PARAMS.get(name) or Words(name.replace("_", " ")), schema, choices)
        for name, schema in properties.items()
    ]
    for one in made:
        one.required = one.name.removeprefix("p.") in needed and one.widget != "check"
    return [one for one in made if one.required or _has_choice(one)]


def _has_choice(one: Input) -> bool:
    """Whether there is anything to choose, of what is chosen from."""
    if one.widget in {"pairs", "checks"}:
        return bool(one.options)
    return one.widget != "select" or list(one.options) != [NONE]


def asking_inputs() -> list[Input]:
    """How the model is asked."""
    properties = Asking.model_json_schema()["properties"]
    return [_input(f"p.{name}", ASKING[name], properties[name], None) for name in _ASKED]


_FROM: Final[dict[Source, tuple[str, Callable[[Choices], Options]]]] = {
    Source.FIELD: ("select", lambda c: c.fields),
    Source.FIELDS: ("checks", lambda c: c.fields),
    Source.TARGET_FIELD: ("select", lambda c: c.target_fields),
    Source.TARGET_FIELDS: ("checks", lambda c: c.target_fields),
    Source.TARGET: ("select", lambda c: c.targets),
    Source.VECTOR: ("select", lambda c: c.vectors),
    Source.MODELS: ("checks", lambda c: c.models),
    Source.DRAFT_JOB: ("select", lambda c: c.draft_jobs),
    Source.LABEL_NUMBERS: ("pairs", lambda c: c.labels),
    Source.LABEL_TEXTS: ("pairs", lambda c: c.labels),
    Source.RATINGS: ("pairs", lambda c: c.fields if c.rating_questions else []),
}


def _input(name: str, words: Words, schema: dict[str, Any], choices: Choices | None) -> Input:
    made = Input(name, str(words.label), _widget(words, schema), str(words.help))
    if choices is not None and words.source in _FROM:
        made.widget, options = _FROM[words.source]
        made.options = options(choices)
        if made.widget == "pairs":
            made.pair = "number" if words.source is Source.LABEL_NUMBERS else "text"
            if words.source is Source.RATINGS:
                made.pair, made.choices = "select", [NONE, *choices.rating_questions]
    elif made.widget in {"select", "checks"}:
        made.options = [(value, choice_words(value)) for value in _values(schema)]
    _limit(made, _type(schema))
    made.values = _usual(schema.get("default"))
    if made.widget == "select" and not (made.values and words.source is Source.PLAIN):
        made.options = [NONE, *made.options]
    return made


def _widget(words: Words, schema: dict[str, Any]) -> str:
    type = _type(schema).get("type", "")
    if words.source in {Source.LINES, Source.RECORDS}:
        return "lines"
    if words.source is Source.AREA:
        return "area"
    if _values(schema):
        return "checks" if type == "array" else "select"
    return {"boolean": "check", "integer": "number", "number": "number", "array": "lines"}.get(
        type, "text"
    )


def _type(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema, of optional ones what they are when they are given."""
    given = [one for one in schema.get("anyOf", ()) if one.get("type") != "null"]
    return given[0] if given else schema


def _values(schema: dict[str, Any]) -> Sequence[str]:
    inner = _type(schema)
    found: Sequence[str] = inner.get("enum") or inner.get("items", {}).get("enum") or ()
    return found


def _limit(made: Input, schema: dict[str, Any]) -> None:
    made.whole = schema.get("type") != "number" or made.pair == "number"
    made.least = schema.get("minimum")
    made.most = schema.get("maximum")
    if made.pair == "number":
        made.least = 1


def _usual(default: Any) -> list[str]:
    """The usual value as if it had been typed."""
    if default is None or default is False or isinstance(default, dict):
        return []
    if isinstance(default, list):
        return [str(one) for one in default]
    if default is True:
        return ["on"]
    return [f"{default:g}" if isinstance(default, float) else str(default)]
