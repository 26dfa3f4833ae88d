"""What people have answered, as examples to learn from."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.db.models.fields.json import KeyTransform

from apps.annotation.models import Response
from apps.datasets.models import Question, QuestionType
from apps.datasets.schema import load_schema
from apps.quality.embeddings import MAX_CHARACTERS
from apps.records.text import searchable_text

LEARNABLE: Final = frozenset({QuestionType.LABEL, QuestionType.MULTI_LABEL, QuestionType.RATING})
NEWEST: Final = 20_000  # answers to learn from; older ones add time, not accuracy


@dataclass(frozen=True, slots=True)
class Examples:
    """Texts and, in the same order, the value people agreed on: one, or a list of them."""

    texts: list[str]
    targets: list[Any]

    @property
    def classes(self) -> set[Any]:
        """The values that occur."""
        return {
            value
            for target in self.targets
            for value in (target if isinstance(target, list) else [target])
        }


def submitted_count(dataset_id: UUID) -> int:
    """How many answers people have submitted in the dataset."""
    return Response.objects.submitted().filter(dataset_id=dataset_id).count()


def has_two_kinds(question: Question) -> bool:
    """Whether people have given two different answers to the question."""
    answers = Response.objects.submitted().filter(dataset_id=question.dataset_id)
    value = KeyTransform("value", KeyTransform(question.name, "values"))
    kinds = answers.annotate(answer=value).filter(answer__isnull=False)
    return len(kinds.values_list("answer").order_by().distinct()[:2]) == 2


def load_examples(question: Question) -> Examples:
    """The records that have an agreed answer to the question; the newest answers only."""
    fields = load_schema(question.dataset).fields
    options = {option["value"] for option in question.options}
    texts: dict[UUID, str] = {}
    answers: dict[UUID, list[Any]] = {}
    rows = Response.objects.submitted().filter(dataset_id=question.dataset_id).order_by("-id")
    for record_id, values, record in rows.values_list("record_id", "values", "record__fields")[
        :NEWEST
    ].iterator():
        answer = _known(values, question.name, options)
        if answer is None:
            continue
        if record_id not in texts:
            texts[record_id] = searchable_text(record, fields)[:MAX_CHARACTERS]
        answers.setdefault(record_id, []).append(answer)
    agreed = {record_id: majority(given) for record_id, given in answers.items()}
    chosen = [record_id for record_id, target in agreed.items() if target not in (None, [])]
    return Examples([texts[id] for id in chosen], [agreed[id] for id in chosen])


def _known(values: Mapping[str, Any], name: str, options: set[Any]) -> Any:
    """The answer without options that have been taken out since; None when nothing is left."""
    answer = values.get(name, {}).get("value")
    if isinstance(answer, list):
        return [value for value in answer if value in options] or None
    return answer if answer in options else None


def majority(answers: Iterable[Any]) -> Any:
    """What more people said than anything else, None when they are split.

    Of lists, the values that more than half of the people chose.
    """
    answers = list(answers)
    if isinstance(answers[0], list):
        votes = Counter(value for chosen in answers for value in chosen)
        return [value for value, count in votes.items() if 2 * count > len(answers)]
    ranked = Counter(answers).most_common(2)
    if len(ranked) == 2 and ranked[0][1] == ranked[1][1]:
        return None
    return ranked[0][0]
