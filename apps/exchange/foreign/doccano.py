"""doccano's JSONL, or the same objects in a JSON array.

Text classification, ``{"text", "label": ["a"]}``; sequence labelling, ``{"text", "label": [[0, 5,
"PER"]]}`` or ``{"text", "entities": [{"start_offset", "end_offset", "label"}]}``; sequence to
sequence, ``{"text", "label": ["a text"]}``. ``labels`` may stand for ``label``. Offsets count code
points. Nobody is named as the author, so answers are suggestions, unless the import is told whose
they are. Other keys are columns; relations have no place here.
"""

from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO, Final

from apps.core.errors import InvalidError
from apps.datasets.models import QuestionType
from apps.exchange.foreign.documents import read_documents
from apps.exchange.foreign.hints import Hints
from apps.exchange.rows import Row

TEXT: Final = ("text", "data")
ENTITIES: Final = "entities"
_LABELS: Final = ("label", "labels", ENTITIES)
_NO_PLACE: Final = ("relations", "Comments", "comments", "annotation_approver")


def read_doccano(source: BinaryIO, hints: Hints) -> Iterator[Row]:
    """The examples as items; what is none is a row with a problem."""
    for row in read_documents(source):
        if row.problem is None:
            try:
                row.values = _item(row.values, hints)
            except InvalidError as error:
                row.problem = error.message
        yield row


def _item(given: Mapping[str, Any], hints: Hints) -> dict[str, Any]:
    name = next((one for one in TEXT if isinstance(given.get(one), str)), None)
    if name is None:
        raise InvalidError("no doccano example: it has no text")
    columns = {key: value for key, value in given.items() if key not in (*_LABELS, name, "id")}
    for key in _NO_PLACE:
        if columns.pop(key, None):
            hints.ignored.add(key)
    answers: dict[str, Any] = {}
    for key in _LABELS:
        if given.get(key) is not None:
            answers |= _answer(key, given[key], hints)
    is_unmarked = not answers and any(given.get(key) == [] for key in _LABELS)
    given_id = given.get("id")
    return {
        "id": None if given_id is None else str(given_id),
        "data": {"text": given[name], **columns},
        "responses": [{"user": None, "status": "submitted", "values": answers}] if answers else [],
        "suggestions": [],
        # Of a text without entities, or without labels: which, the dataset knows.
        "unmarked": ENTITIES if is_unmarked else None,
    }


def _answer(key: str, labels: Any, hints: Hints) -> dict[str, Any]:
    """``{"label": […]}`` or ``{"entities": [spans]}``; nothing where there are none."""
    if isinstance(labels, str | int):
        labels = [str(labels)]
    if not isinstance(labels, list):
        raise InvalidError(f"{key} is no list")
    if not labels:
        return {}
    if key == ENTITIES or any(isinstance(label, list | dict) for label in labels):
        hints.types.setdefault(ENTITIES, QuestionType.SPAN)
        hints.span_fields.setdefault(ENTITIES, "text")
        return {ENTITIES: [_span(key, label) for label in labels]}
    return {"label": [str(label) for label in labels]}


def _span(key: str, given: Any) -> dict[str, Any]:
    if isinstance(given, dict):
        start, end, label = (given.get(one) for one in ("start_offset", "end_offset", "label"))
    elif isinstance(given, list) and len(given) == 3:
        start, end, label = given
    else:
        raise InvalidError(f"{key}: a span is [start, end, label]")
    return {"label": label, "start": start, "end": end}
