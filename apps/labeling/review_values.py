"""Answers for the eye of a reviewer: as labels or text, compared word by word, summed up."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from itertools import combinations
from typing import Any
from uuid import UUID

from django.utils.translation import gettext as _

from apps.datasets.models import QuestionType
from apps.datasets.schema import QuestionRule
from apps.labeling.markup import read_marks
from apps.labeling.questions import hues
from apps.quality.agreement import agreement
from apps.quality.consensus import mean_ranks


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who answered, as the reviewer may know them."""

    id: UUID
    name: str
    hue: int
    initials: str


@dataclass(frozen=True, slots=True)
class Label:
    text: str
    hue: int
    rank: int | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """A value for the eye: labels, or a text; ``diff`` are words kept, added and taken out."""

    labels: list[Label] = field(default_factory=list)
    text: str = ""
    diff: list[tuple[str, str]] = field(default_factory=list)
    is_empty: bool = False


def show_value(rule: QuestionRule, value: Any, fields: Mapping[str, Any]) -> Shown:
    """The value as labels or text; an option that is gone is shown by its value."""
    if rule.type == QuestionType.TEXT:
        return Shown(text=str(value))
    options = hues(rule.question)
    if rule.type == QuestionType.SPAN:
        marks = read_marks(value, options, str(fields.get(rule.field or "") or ""))
        labels = [Label(f"{mark.name}: {mark.text}", mark.hue) for mark in marks]
        return Shown(labels=labels, is_empty=not labels)
    if rule.type == QuestionType.RANKING:
        rows = [(item["value"], item.get("rank")) for item in value]
    else:
        rows = [(one, None) for one in (value if isinstance(value, list) else [value])]
    named = [(*options.get(str(one), (str(one), 0)), rank) for one, rank in rows]
    return Shown(labels=[Label(text, hue, rank) for text, hue, rank in named])


def word_diff(before: str, after: str) -> list[tuple[str, str]]:
    """``("same" | "del" | "ins", words)`` in order; blanks stay with the word before them."""
    old, new = _words(before), _words(after)
    parts: list[tuple[str, str]] = []
    for what, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if what == "equal":
            parts.append(("same", "".join(old[a:b])))
            continue
        parts += [("del", "".join(old[a:b]))] if b > a else []
        parts += [("ins", "".join(new[c:d]))] if d > c else []
    return parts


def _words(text: str) -> list[str]:
    words: list[str] = []
    for letter in text:
        if words and (letter.isspace() or not words[-1][-1].isspace()):
            words[-1] += letter
        else:
            words.append(letter)
    return words


def with_diff(shown: Shown, rule: QuestionRule, first: Any, value: Any) -> Shown:
    if rule.type != QuestionType.TEXT or value == first:
        return shown
    return Shown(text=shown.text, diff=word_diff(str(first), str(value)))


def summarize(rule: QuestionRule, values: Sequence[Any]) -> str:
    """How the answers compare, in a few words."""
    if len(values) < 2:
        return _("one answer") if values else _("nobody answered")
    if all(value == values[0] for value in values):
        return _("all %(n)s agree") % {"n": len(values)}
    if rule.type == QuestionType.LABEL:
        return _(" to ").join(str(n) for _value, n in Counter(values).most_common())
    if rule.type == QuestionType.RATING:
        mean = sum(values) / len(values)
        words = {"low": min(values), "high": max(values), "mean": f"{mean:.1f}"}
        return _("from %(low)s to %(high)s, mean %(mean)s") % words
    return _summary_of_parts(rule, values)


def _summary_of_parts(rule: QuestionRule, values: Sequence[Any]) -> str:
    if rule.type == QuestionType.RANKING:
        options = hues(rule.question)
        ranks = [
            f"{options.get(name, (name, 0))[0]} {mean:.1f}"
            for name, mean in mean_ranks(values).items()
        ]
        return _("mean ranks: %(ranks)s") % {"ranks": ", ".join(ranks)}
    if rule.type == QuestionType.TEXT:
        pairs = [SequenceMatcher(None, a, b).ratio() for a, b in combinations(values[:5], 2)]
        likeness = sum(pairs) / len(pairs)
    else:
        likeness = agreement(rule, values) or 0.0
    return _("%(percent)s %% alike") % {"percent": round(100 * likeness)}
