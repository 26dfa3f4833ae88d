"""Label Studio's JSON export: an array of tasks with data, annotations and predictions.

The control tag's name is the question's. Choices and taxonomies are labels, a taxonomy's path
joined with ``/``; labels of text are spans; a pairwise choice is the label ``left`` or ``right``;
a ranker without buckets is a ranking. An annotation is its author's answer, a cancelled one
discarded; the newest prediction with a question is its suggestion. Regions of images, sounds and
the like have no place here.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO, Final

from apps.core.errors import InvalidError
from apps.datasets.models import QuestionType
from apps.exchange.foreign.documents import read_documents
from apps.exchange.foreign.hints import Hints
from apps.exchange.foreign.offsets import code_points
from apps.exchange.rows import Row

PATH_SEPARATOR: Final = "/"


def read_label_studio(source: BinaryIO, hints: Hints) -> Iterator[Row]:
    """The tasks as items; what is no task is a row with a problem."""
    for row in read_documents(source):
        if row.problem is None:
            try:
                row.values = _Task(row.values, hints).item()
            except InvalidError as error:
                row.problem = error.message
        yield row


class _Task:
    """One task."""

    def __init__(self, task: Mapping[str, Any], hints: Hints) -> None:
        data = task.get("data")
        if not isinstance(data, dict):
            raise InvalidError("no Label Studio task, which has data: export JSON, not JSON_MIN")
        self.task = task
        self.data = data
        self.hints = hints

    def item(self) -> dict[str, Any]:
        annotations = self._list(self.task, "annotations") or self._list(self.task, "completions")
        given_id, meta = self.task.get("id"), self.task.get("meta")
        return {
            "id": None if given_id is None else str(given_id),
            "data": self.data,
            "metadata": meta if isinstance(meta, dict) else {},
            "responses": [self._response(one) for one in annotations],
            "suggestions": self._suggestions(),
        }

    def _response(self, annotation: Mapping[str, Any]) -> dict[str, Any]:
        cancelled = annotation.get("was_cancelled")
        return {
            "user": _author(annotation.get("completed_by")),
            "status": "discarded" if cancelled else "submitted",
            "values": self._answers(annotation),
            "inserted_at": annotation.get("created_at"),
        }

    def _suggestions(self) -> list[dict[str, Any]]:
        suggestions: dict[str, dict[str, Any]] = {}
        for prediction in self._list(self.task, "predictions"):
            agent = prediction.get("model_version")
            for name, value in self._answers(prediction).items():
                suggestions[name] = {
                    "question": name,
                    "value": value,
                    "score": prediction.get("score"),
                    "agent": str(agent)[:200] if agent else None,
                    "type": "model",
                }
        return list(suggestions.values())

    def _answers(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Values by question name; what several regions say of one question is put together."""
        answers: dict[str, Any] = {}
        for result in self._list(given, "result"):
            kind, name, value = (result.get(key) for key in ("type", "from_name", "value"))
            read = _READERS.get(str(kind))
            if read is None or not isinstance(name, str) or not isinstance(value, dict):
                self.hints.ignored.add(f"{name} ({kind})" if name else str(kind))
                continue
            answer = read(self, result, value)
            if answer is not None:
                _add(answers, name, answer)
        return answers

    def _list(self, given: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
        """The objects of a list; a short export has numbers in their place."""
        value = given.get(key) or []
        if not isinstance(value, list):
            raise InvalidError(f"{key} is no list")
        return [one for one in value if isinstance(one, dict)]

    # --- One reader a kind of control tag ---------------------------------------------------------
    def labels(self, result: Mapping[str, Any], value: Mapping[str, Any]) -> list[str]:
        return _texts(value, "choices")

    def paths(self, result: Mapping[str, Any], value: Mapping[str, Any]) -> list[str]:
        paths = value.get("taxonomy")
        if not isinstance(paths, list) or not all(isinstance(path, list) for path in paths):
            raise InvalidError("a taxonomy is a list of paths")
        return [PATH_SEPARATOR.join(map(str, path)) for path in paths]

    def rating(self, result: Mapping[str, Any], value: Mapping[str, Any]) -> Any:
        self._hint(result, QuestionType.RATING)
        return value.get("rating")

    def number(self, result: Mapping[str, Any], value: Mapping[str, Any]) -> Any:
        return value.get("number")

    def text(self, result: Mapping[str, Any], value: Mapping[str, Any]) -> str:
        self._hint(result, QuestionType.TEXT)
        return "\n".join(_texts(value, "text"))

    def moment(self, result: Mapping[str, Any], value: Mapping[str, Any]) -> Any:
        self._hint(result, QuestionType.TEXT)
        return value.get("datetime")

    def side(self, result: Mapping[str, Any], value: Mapping[str, Any]) -> list[str]:
        self._hint(result, QuestionType.LABEL)
        return _texts(value, "selected")

    def ranking(self, result: Mapping[str, Any], value: Mapping[str, Any]) -> Any:
        buckets = value.get("ranker")
        if not isinstance(buckets, dict) or len(buckets) != 1:
            self.hints.ignored.add(f"{result['from_name']} (ranker with buckets)")
            return None
        self._hint(result, QuestionType.RANKING)
        [order] = buckets.values()
        return order if isinstance(order, list) else None

    def spans(self, result: Mapping[str, Any], value: Mapping[str, Any]) -> list[dict[str, Any]]:
        """One span a label; offsets count as JavaScript does."""
        start, end, said = value.get("start"), value.get("end"), value.get("text")
        if type(start) is not int or type(end) is not int:
            raise InvalidError(f"{result['from_name']}: a span needs start and end in characters")
        said = said if isinstance(said, str) else None
        column = self._column(result, start, end, said)
        self._hint(result, QuestionType.SPAN)
        self.hints.span_fields.setdefault(result["from_name"], column)
        start, end = code_points(self.data[column], start, end, said)
        return [{"label": one, "start": start, "end": end} for one in _texts(value, "labels")]

    def _column(self, result: Mapping[str, Any], start: int, end: int, said: str | None) -> str:
        """Which text the spans are of: the export names the tag, not the column."""
        texts: dict[str, str] = {n: one for n, one in self.data.items() if isinstance(one, str)}
        name = result.get("to_name")
        known = self.hints.span_fields.get(str(result.get("from_name")))
        for candidate in (str(known), str(name)):
            if candidate in texts:
                return candidate
        for candidate, text in texts.items():
            if said and text[slice(*code_points(text, start, end, said))] == said:
                return candidate
        if len(texts) != 1:
            raise InvalidError(f"{result['from_name']}: which column its spans are of is unclear")
        return next(iter(texts))

    def _hint(self, result: Mapping[str, Any], type: str) -> None:
        self.hints.types.setdefault(result["from_name"], type)


_READERS: Final[dict[str, Callable[[_Task, Any, Any], Any]]] = {
    "choices": _Task.labels,
    "taxonomy": _Task.paths,
    "rating": _Task.rating,
    "number": _Task.number,
    "textarea": _Task.text,
    "datetime": _Task.moment,
    "pairwise": _Task.side,
    "ranker": _Task.ranking,
    "labels": _Task.spans,
}


def _texts(value: Mapping[str, Any], key: str) -> list[str]:
    given = value.get(key)
    texts = given if isinstance(given, list) else [given]
    known = [text for text in texts if isinstance(text, str)]
    if len(known) < len(texts):
        raise InvalidError(f"{key} is no list of texts")
    return known


def _add(answers: dict[str, Any], name: str, answer: Any) -> None:
    before = answers.get(name)
    if isinstance(before, list) and isinstance(answer, list):
        before.extend(one for one in answer if one not in before)
    else:
        answers[name] = answer


def _author(completed_by: Any) -> str | None:
    """The e-mail address, or the number that stands for the person in most exports."""
    if isinstance(completed_by, dict):
        completed_by = completed_by.get("email") or completed_by.get("id")
    return None if completed_by is None else str(completed_by)
