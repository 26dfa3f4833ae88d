"""The form that a run is ordered with: a recipe's parameters, the model, the records, the limit."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.http import QueryDict
from django.utils.translation import gettext as _
from pydantic import ValidationError

from apps.console.inputs import Given, Input
from apps.console.param_inputs import NONE, Choices, Options, asking_inputs, param_inputs
from apps.console.providers import plain
from apps.console.run_words import choice_words
from apps.core.errors import InvalidError
from apps.core.ids import read_id
from apps.datasets.models import Dataset
from apps.llms.models import Budget, ModelKind, ProviderModel
from apps.organizations.models import Membership
from apps.pipelines.models import PromptVersion
from apps.pipelines.orders import RunOrder
from apps.pipelines.recipes.base import Recipe
from apps.records.models import Record
from apps.search.models import SavedView

FEW: Final = 5  # records of a dry run
_SAMPLES: Final = ("random", "uncertain", "disagreement", "errors", "longest")
_WITHOUT_RECORDS: Final = {"like_this", "classification"}


class RunForm:
    """``given`` is what was typed, or what an earlier run was ordered with; None is a new form.

    ``errors`` names inputs; what is wrong with no single one is in ``problem``.
    """

    def __init__(
        self,
        dataset: Dataset,
        member: Membership,
        recipe: Recipe[Any, Any],
        given: Given | None = None,
    ) -> None:
        self.dataset, self.member, self.recipe = dataset, member, recipe
        self.choices = Choices(dataset, member, recipe)
        self.problem = ""
        self.question = self._question_input()
        self._choose(given or {})
        self.params = param_inputs(recipe, self.choices)
        self.new_target = Input("new_target", _("Or the name of a new retrieval set"), "text")
        self.model = self._model_input()
        self.asking = asking_inputs()
        self.prompt = self._prompt_inputs()
        self.records = self._record_inputs()
        self.mode = self._mode_input()
        self.budget = [
            Input("max_usd", _("Stop at, in USD"), "number", whole=False, least=0),
            Input("max_tokens_in_all", _("Stop at, in tokens"), "number", least=1),
        ]
        told = _("At the provider’s price for batches, where it offers them.")
        self.in_batches = Input("in_batches", _("No hurry: within a day"), "check", told)
        if given is not None:
            for one in self.inputs:
                one.fill(given)
            self._keep_search()

    def _choose(self, given: Given) -> None:
        """What other inputs depend on."""
        if given:
            self.question.fill(given)
        rule = self.choices.schema.questions.get(self.question.text)
        self.choices.question = rule.question if rule else None
        self.choices.target_id = "".join(given.get("p.target", ())[:1])

    def _keep_search(self) -> None:
        """A search that is nobody's view can be chosen again."""
        which = self.records[0]
        if which.text and which.text not in dict(which.options):
            which.options = [*which.options, (which.text, _("the search you came from"))]

    @property
    def inputs(self) -> list[Input]:
        one = [self.question, self.new_target, self.model, self.mode, self.in_batches]
        return [*one, *self.params, *self.asking, *self.prompt, *self.records, *self.budget]

    @property
    def wrong(self) -> list[Input]:
        return [one for one in self.inputs if one.error]

    @property
    def asks_a_model(self) -> bool:
        return self.recipe.name not in {"rules", "embed"}

    @property
    def takes_records(self) -> bool:
        return self.recipe.name not in _WITHOUT_RECORDS

    @property
    def depends(self) -> bool:
        """Whether inputs depend on others, so that the form has to be made anew for them."""
        names = {one.name for one in self.params}
        return bool(names & {"p.target"}) or self.recipe.name in {"like_this", "classification"}

    # --- The inputs -------------------------------------------------------------------------------
    def _question_input(self) -> Input:
        types = self.recipe.question_types
        rules = self.choices.schema.questions.values()
        options = [(r.name, r.question.title) for r in rules if types is None or r.type in types]
        needs = self.recipe.needs_question
        made = Input("question", _("Question"), "select", required=needs)
        made.options = options if needs else [NONE, *options]
        made.values = [options[0][0]] if needs and options else []
        return made

    @property
    def shows_question(self) -> bool:
        names = {"suggest", "classification", "like_this", "preference"}
        return self.recipe.needs_question or self.recipe.name in names

    def _model_input(self) -> Input:
        rows = ProviderModel.objects.visible_to(self.member).filter(
            provider__enabled=True, kind=ModelKind.CHAT
        )
        models = list(rows.select_related("provider").order_by("provider__name", "name")[:500])
        options = [(f"{m.provider_id}/{m.name}", f"{m.provider.name} · {m.name}") for m in models]
        usual = [
            o for m, o in zip(models, options, strict=True) if m.provider.default_model == m.name
        ]
        made = Input("model", _("Model"), "select", options=options, required=self.asks_a_model)
        made.values = [(usual or options)[0][0]] if options else []
        return made

    def _prompt_inputs(self) -> list[Input]:
        if self.recipe.name != "suggest":
            return []
        version = Input("version", _("Prompt"), "select")
        question = self.choices.question
        rows: Any = PromptVersion.objects.none()
        if question is not None:
            rows = PromptVersion.objects.visible_to(self.member).of(self.dataset.id, question.id)
        named = [
            (str(row.id), f"{row} {row.note[:60]}".strip()) for row in rows.newest_first()[:50]
        ]
        version.options = [("", _("guidelines and question as they are now")), *named]
        shots = Input("shots", _("Answered records shown as examples"), "number", least=0, most=50)
        shots.values = ["4"]
        ways = [(name, choice_words(name)) for name in ("nearest", "random", "errors")]
        return [version, shots, Input("strategy", _("Which examples"), "select", options=ways)]

    def _record_inputs(self) -> list[Input]:
        which = Input("filter", _("Records"), "select", options=self._searches())
        named = Input("record_ids", _("Only these records"), "lines", _("Their ids, one a line."))
        sample = Input("sample", _("At most"), "number", least=1, most=100_000)
        ways = [(name, choice_words(name)) for name in _SAMPLES]
        return [which, named, sample, Input("drawn", _("Drawn"), "select", options=ways)]

    def _searches(self) -> Options:
        views = SavedView.objects.visible_to(self.member).filter(dataset=self.dataset).in_order()
        return [
            ("", _("all")),
            ("status=pending", _("pending")),
            ("status=completed", _("completed")),
            *((view.query, view.name) for view in views[:50] if view.query),
        ]

    def _mode_input(self) -> Input:
        options = [(mode, choice_words(mode)) for mode in self.recipe.write_modes]
        options = [pair for pair in options if pair[0] != "evaluation"]
        made = Input("write_mode", _("Writes"), "select", options=options)
        made.values = [options[0][0]]
        return made

    def take(self, query: QueryDict) -> None:
        """Records that a link names (``?record=``), or a search (``?filter=``).

        A try is never made in batches, so the link to it says whether the run shall be.
        """
        named = query.getlist("record")
        which = query.get("filter", "")
        if query.get("in_batches"):
            self.in_batches.values = ["on"]
        for one in (*self.params, *self.records):
            if named and one.name == ("record_ids" if self.takes_records else "p.sources"):
                one.values = named
            if which and one.name == "filter":
                one.values = [which]
            if one.name in {"p.over", "p.draft_job"} and one.name[2:] in query:
                one.values = [str(query[one.name[2:]])]
        self._keep_search()

    # --- The order --------------------------------------------------------------------------------
    def order(self, *, dry_run: int | None = None) -> RunOrder:
        """What is ordered. Raises ``InvalidError`` when inputs are wrong, which then say why."""
        values = self._read()
        provider, _slash, model = str(values["model"] or "").partition("/")
        try:
            return RunOrder.model_validate(
                {
                    "recipe": self.recipe.name,
                    "question": values["question"] if self.shows_question else None,
                    "provider_id": provider or None,
                    "model": model or None,
                    "params": self._params(values),
                    "selection": self._selection(values),
                    "write_mode": values["write_mode"],
                    "budget": {
                        "max_usd": _decimal(values["max_usd"]),
                        "max_tokens": values["max_tokens_in_all"],
                    },
                    "dry_run": dry_run,
                    "in_batches": bool(values["in_batches"]) and dry_run is None,
                    **self._words(values),
                }
            )
        except ValidationError as error:
            first = error.errors(include_context=False)[0]
            raise InvalidError(f"{first['loc'][-1]}: {first['msg']}") from error

    def _read(self) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for one in self.inputs:
            try:
                values[one.name] = one.read()
            except InvalidError as error:
                one.error = error.message
        if self.wrong:
            raise InvalidError(_("Something is missing or wrong."))
        return values

    def _params(self, values: dict[str, Any]) -> dict[str, Any]:
        fixed = (
            {"p.n", "p.temperature", "p.max_tokens", "p.seed"} if values.get("version") else set()
        )
        named = [one.name for one in (*self.params, *self.asking) if one.name not in fixed]
        found = {n.removeprefix("p."): values[n] for n in named if values[n] is not None}
        if "sources" in found:
            found["sources"] = self._record_ids(found["sources"])
        return found

    def _record_ids(self, names: Sequence[str]) -> list[UUID]:
        """Of records by their ids, ours or those that they came with."""
        rows = Record.objects.filter(dataset=self.dataset)
        known = dict(rows.filter(external_id__in=names).values_list("external_id", "id"))
        found = [known.get(name) or read_id(name) for name in names]
        strange = [name for name, id in zip(names, found, strict=True) if id is None]
        if strange:
            raise InvalidError(_("There is no record %s.") % strange[0])
        return [id for id in found if id is not None]

    def _selection(self, values: dict[str, Any]) -> dict[str, Any]:
        if not self.takes_records:
            return {}
        found: dict[str, Any] = {"filter": values["filter"] or ""}
        if values["record_ids"]:
            found["record_ids"] = self._record_ids(values["record_ids"])
        if values["sample"]:
            found["sample"] = {"n": values["sample"], "strategy": values["drawn"] or "random"}
        return found

    def _words(self, values: dict[str, Any]) -> dict[str, Any]:
        """The prompt: a version as it is, or how many examples go with the present words."""
        if not self.prompt:
            return {}
        if values["version"]:
            return {"prompt_version_id": values["version"]}
        return {"shots": values["shots"], "strategy": values["strategy"] or None}

    def blame(self, error: InvalidError) -> None:
        """Show an error at the input that it names (``params.total: …``), else above the form."""
        place, colon, text = error.message.partition(": ")
        name = place.removeprefix("params.").split(".")[0]
        for one in self.inputs:
            if colon and one.name.removeprefix("p.") == name:
                one.error = text
                return
        self.problem = error.message


def given_of(
    recipe: Recipe[Any, Any], spec: dict[str, Any], question: str, budget: Budget | None
) -> dict[str, list[str]]:
    """What an earlier run was ordered with, as if it had been typed."""
    given: dict[str, list[str]] = {"question": [question], "write_mode": [spec["write_mode"]]}
    if spec.get("provider_id"):
        given["model"] = [f"{spec['provider_id']}/{spec['model']}"]
    usual = recipe.Params.model_validate(spec["params"]).model_dump(mode="json")
    for name, value in {**spec["asking"], **usual}.items():
        given |= _typed(f"p.{name}", value)
    given |= {"in_batches": ["on"] if spec.get("in_batches") else []}
    prompt, selection = spec["prompt"], spec["selection"]
    given |= {"version": [str(prompt.get("version_id") or "")]}
    given |= {"shots": [str(prompt["shots"])], "strategy": [prompt["strategy"]]}
    given |= {"filter": [selection.get("filter") or ""]}
    given |= {"record_ids": [str(id) for id in selection.get("record_ids") or ()]}
    sample = selection.get("sample") or {}
    given |= {"sample": [str(sample.get("n", ""))], "drawn": [sample.get("strategy", "random")]}
    if budget is not None:
        given |= {"max_usd": [plain(budget.limit_usd) if budget.limit_usd else ""]}
        given |= {"max_tokens_in_all": [str(budget.limit_tokens or "")]}
    return given


def _typed(name: str, value: Any) -> dict[str, list[str]]:
    if isinstance(value, dict):
        return {f"{name}.{key}": [str(inner)] for key, inner in value.items()}
    if isinstance(value, list):
        return {name: [str(inner) for inner in value]}
    if isinstance(value, bool):
        return {name: ["on"] if value else []}
    return {
        name: [] if value is None else [f"{value:g}" if isinstance(value, float) else str(value)]
    }


def _decimal(value: float | None) -> Decimal | None:
    return Decimal(str(value)) if value else None
