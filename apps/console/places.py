"""Where things of a dataset's models are found and shown; a stranger's id is a 404."""

from typing import TypeVar
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import Model, QuerySet
from django.http import Http404
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _

from apps.core.errors import InvalidError
from apps.core.ids import read_id
from apps.datasets.models import Dataset
from apps.datasets.schema import DatasetSchema, QuestionRule
from apps.evaluation.models import Evaluation, GoldSet
from apps.pipelines.models import PromptVersion
from apps.pipelines.orders import Budget

_M = TypeVar("_M", bound=Model)


def find_rule(schema: DatasetSchema, name: str) -> QuestionRule | None:
    """The question of that name, or the first; None where there is none at all."""
    if name and name not in schema.questions:
        raise Http404
    return schema.questions[name] if name else next(iter(schema.questions.values()), None)


def rule_of(schema: DatasetSchema, question_id: UUID) -> QuestionRule:
    """The question, as long as it is there."""
    found = schema.questions_by_id.get(question_id)
    if found is None:
        raise Http404
    return found


def find_version(dataset: Dataset, text: str) -> PromptVersion:
    rows = PromptVersion.objects.of(dataset.id).select_related("question")
    return _find(rows, text)


def find_gold(dataset: Dataset, text: str) -> GoldSet:
    rows = GoldSet.objects.filter(dataset=dataset).select_related("question", "dataset__workspace")
    return _find(rows, text)


def find_evaluation(dataset: Dataset, text: str) -> Evaluation:
    rows = Evaluation.objects.of_dataset(dataset).select_related(
        "gold_set__question", "gold_set__dataset__workspace", "job", "prompt_version"
    )
    return _find(rows, text)


def _find(rows: QuerySet[_M], text: str) -> _M:
    id = read_id(text)
    if id is None:
        raise Http404
    return get_object_or_404(rows, pk=id)


def place(name: str, dataset: Dataset, **query: str) -> str:
    """The address of a console page of the dataset; of ``query``, what is not empty."""
    given = {key: text for key, text in query.items() if text}
    path = reverse(f"console:{name}", args=[dataset.id])
    return f"{path}?{urlencode(given)}" if given else path


def read_budget(text: str) -> Budget:
    """A budget as it was typed; nothing is no limit. Raises ``InvalidError``."""
    try:
        return Budget.model_validate({"max_usd": text.strip() or None})
    except ValueError as error:
        raise InvalidError(_("“%s” is not an amount of money.") % text[:40]) from error
