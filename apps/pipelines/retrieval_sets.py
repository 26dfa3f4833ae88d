"""Datasets of queries, each with a document that answers it and some that do not."""

from typing import Final

from django.db import transaction

from apps.core.errors import InvalidError
from apps.datasets.models import Dataset
from apps.datasets.services import create_dataset, create_field, create_question, publish_dataset
from apps.datasets.settings import LabelQuestion, TextField
from apps.organizations.models import Membership
from apps.records.services import prepare_dataset
from apps.workspaces.models import Workspace

QUERY: Final = "query"
POSITIVE: Final = "positive"
NEGATIVE: Final = "negative_{}"
MOST: Final = 10

_VERDICTS: Final = {
    "good": "The positive answers the query, and no negative does.",
    "wrong_positive": "The positive does not answer the query.",
    "false_negative": "A negative answers the query as well.",
}


@transaction.atomic
def create_retrieval_set(
    *, workspace: Workspace, name: str, negatives: int, author: Membership | None = None
) -> Dataset:
    """A published dataset with fields ``query``, ``positive``, ``negative_1`` …, and a question
    by which people say whether a record is right.

    Raises ``InvalidError`` for a number of negatives beyond 0 to 10, ``ConflictError`` for a name
    that is taken.
    """
    if not 0 <= negatives <= MOST:
        raise InvalidError(f"A query has 0 to {MOST} negatives.")
    dataset = create_dataset(workspace=workspace, name=name, author=author)
    prepare_dataset(dataset=dataset)
    numbered = [NEGATIVE.format(n + 1) for n in range(negatives)]
    for field in (QUERY, POSITIVE, *numbered):
        create_field(
            dataset=dataset,
            name=field,
            title=field.replace("_", " ").capitalize(),
            required=field in (QUERY, POSITIVE),
            settings=TextField(type="text"),
        )
    create_question(
        dataset=dataset,
        name="verdict",
        title="Is this right?",
        required=True,
        settings=_verdicts(),
    )
    return publish_dataset(dataset=dataset)


def _verdicts() -> LabelQuestion:
    options = [
        {"value": value, "text": value.replace("_", " ").capitalize(), "description": words}
        for value, words in _VERDICTS.items()
    ]
    return LabelQuestion.model_validate({"type": "label_selection", "options": options})
