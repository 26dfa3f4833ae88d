"""What several people's answers come to: the rule by type of question.

Labels: what more people said than anything else. Several labels: those of more than half. Ratings:
the median. Rankings: mean ranks (Borda). Spans: the characters that at least half marked alike.
Texts: only what all wrote. None when people are split: a tie is for a reviewer, never for chance.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby, pairwise
from statistics import median_high, median_low
from typing import Any, Final

from apps.datasets.models import QuestionType
from apps.datasets.schema import QuestionRule
from apps.quality.agreement import covered
from apps.quality.answers import majority


def consensus(rule: QuestionRule, answers: Sequence[Any]) -> Any:
    """The value that the answers come to, in stored form; None when they are split."""
    if not answers:
        return None
    return _RULES[rule.type](rule, answers)


def _plurality(rule: QuestionRule, answers: Sequence[Any]) -> Any:
    return majority(answers)


def _several(rule: QuestionRule, answers: Sequence[Any]) -> Any:
    """In the order of the question's labels."""
    chosen = majority(answers)
    return [value for value in rule.values if value in chosen] or None


def _median(rule: QuestionRule, answers: Sequence[Any]) -> Any:
    """The middle rating; between two it is the majority's, if there is one."""
    low, high = median_low(answers), median_high(answers)
    return low if low == high and low in rule.options else majority(answers)


def mean_ranks(answers: Iterable[Any]) -> dict[str, float]:
    """The mean rank of each option, best first."""
    ranks: dict[str, list[int]] = defaultdict(list)
    for answer in answers:
        for item in answer:
            if item.get("rank") is not None:
                ranks[item["value"]].append(item["rank"])
    means = {name: sum(given) / len(given) for name, given in ranks.items()}
    return dict(sorted(means.items(), key=lambda pair: (pair[1], pair[0])))


def _borda(rule: QuestionRule, answers: Sequence[Any]) -> Any:
    means = mean_ranks(answers)
    order = sorted(set(means.values()))
    if not means or (len(order) == 1 and len(means) > 1 and len({str(a) for a in answers}) > 1):
        return None
    return [{"value": name, "rank": order.index(mean) + 1} for name, mean in means.items()]


def _shared_spans(rule: QuestionRule, answers: Sequence[Any]) -> Any:
    """Runs of characters that at least half of the people marked with the same label.

    Between two people that would be everything, so there both are asked for.
    """
    needed = max(len(answers) / 2, min(len(answers), 2))
    votes = Counter(place for answer in answers for place in covered(answer))
    kept = sorted(place for place, count in votes.items() if count >= needed)
    spans = []
    for label, places in groupby(kept, key=lambda place: place[0]):
        spans += _runs(label, [at for _, at in places], _borders(answers, label))
    spans.sort(key=lambda span: (span["start"], span["end"]))
    return spans if rule.overlapping else _apart(spans)


def _borders(answers: Sequence[Any], label: str) -> set[int]:
    """Where one mark ends and the next begins, in the same answer: two marks stay two."""
    found: set[int] = set()
    for answer in answers:
        ends = {span["end"] for span in answer if span["label"] == label}
        found |= ends & {span["start"] for span in answer if span["label"] == label}
    return found


def _runs(label: str, places: list[int], borders: set[int]) -> list[dict[str, Any]]:
    cuts = [n for n, (a, b) in enumerate(pairwise(places), 1) if b != a + 1 or b in borders]
    edges = [0, *cuts, len(places)]
    return [
        {"label": label, "start": places[a], "end": places[b - 1] + 1} for a, b in pairwise(edges)
    ]


def _apart(spans: list[dict[str, Any]]) -> list[dict[str, Any]] | None:
    """Spans as they are when none overlaps another; where some do, people are split."""
    for one, other in pairwise(spans):
        if other["start"] < one["end"]:
            return None
    return spans


def _identical(rule: QuestionRule, answers: Sequence[Any]) -> Any:
    return answers[0] if all(answer == answers[0] for answer in answers) else None


_RULES: Final[Mapping[str, Callable[[QuestionRule, Sequence[Any]], Any]]] = {
    QuestionType.LABEL: _plurality,
    QuestionType.MULTI_LABEL: _several,
    QuestionType.RATING: _median,
    QuestionType.RANKING: _borda,
    QuestionType.SPAN: _shared_spans,
    QuestionType.TEXT: _identical,
}
