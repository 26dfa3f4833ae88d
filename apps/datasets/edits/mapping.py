"""What an answer becomes when labels are renamed, merged or taken away."""

from collections.abc import Mapping
from typing import Any

from apps.datasets.models import QuestionType

Mapped = tuple[dict[str, Any] | None, bool]


def map_labels(type: str, answer: Mapping[str, Any], mapping: Mapping[str, str | None]) -> Mapped:
    """The answer with its labels replaced, and whether nothing was taken from it.

    ``answer`` is ``{"value": …}``, a suggestion's with its ``score`` (one a value, or a list). None
    takes a label away; an answer of which nothing is left is None. Labels that become the same are
    said once, with the higher score.
    """
    value = answer["value"]
    if type == QuestionType.LABEL:
        new = mapping.get(value, value)
        return (None, False) if new is None else ({**answer, "value": new}, True)
    key = {QuestionType.SPAN: "label", QuestionType.RANKING: "value"}.get(QuestionType(type))
    scores = answer.get("score")
    of_items: list[Any] = scores if isinstance(scores, list) else [None] * len(value)
    items, is_clear = _map_items(value, of_items, key, mapping)
    if not items and value and not is_clear:
        return None, False
    mapped = {**answer, "value": [item for item, _score in items]}
    if isinstance(scores, list):
        mapped["score"] = [score for _item, score in items]
    return mapped, is_clear


def _map_items(
    value: list[Any], scores: list[Any], key: str | None, mapping: Mapping[str, str | None]
) -> tuple[list[tuple[Any, Any]], bool]:
    items: list[tuple[Any, Any]] = []
    is_clear = True
    for item, score in zip(value, scores, strict=True):
        label = item[key] if key else item
        new = mapping.get(label, label)
        if new is None:
            is_clear = False
            continue
        whole = {**item, key: new} if key else new
        place = next((n for n, (known, _s) in enumerate(items) if known == whole), None)
        if place is None:
            items.append((whole, score))
        elif score is not None and (items[place][1] is None or score > items[place][1]):
            items[place] = (whole, score)
    return items, is_clear
