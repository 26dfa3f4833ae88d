"""What people type, as a query for PostgreSQL: Elasticsearch's simple query string.

``card payment`` and ``card + payment`` both words · ``card | cash`` either · ``-cash`` not ·
``"lost card"`` a phrase · ``pay*`` a beginning · ``( )`` a group · ``\\`` takes the next character
as it is. Operators bind from left to right, none before another. What makes no sense is ignored;
nothing is an error.

Words are cut out here but never folded: each stands quoted in the text for ``to_tsquery``, so
PostgreSQL splits it just as it split the records' texts, and nothing in it can be an operator.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from apps.records.text import words_apart

MAX_LENGTH: Final = 10_000  # characters; what comes later is ignored
MAX_TERMS: Final = 200  # words and phrases
MAX_DEPTH: Final = 20  # of groups in one another; the brackets of deeper ones are ignored

# A word may hold a hyphen, but not begin with one; a tilde and a number ask for a fuzziness that
# there is not.
_TOKEN: Final = re.compile(
    r"""\s+ | (?P<operator>[-+|()])
    | "(?P<phrase>(?:\\.|[^"\\])*)"(?:~\d*)? | "
    | (?P<word>(?:\\.|[^\s+|()"\\]|\\$)+?)(?P<prefix>\*?)(?:~\d*)?(?=[\s+|()"]|$)""",
    re.DOTALL | re.VERBOSE,
)
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
_MATCHES_ALL: Final = "*"


def matches_all(typed: str) -> bool:
    """Whether no word is asked for at all: a lone asterisk."""
    return typed.strip() == _MATCHES_ALL


def to_tsquery_text(typed: str, *, weight: str = "") -> str:
    """The text for ``to_tsquery('simple', …)``; empty when no word is in it.

    ``weight`` (A–D) asks for words of the fields with this weight only.
    """
    tokens = list(_tokens(typed.replace("\0", " ")[:MAX_LENGTH], weight))
    brackets = _pairs([token for token, _ in tokens])
    groups, negated = [_Group()], False
    for place, (operator, term) in enumerate(tokens):
        if operator == "-":
            negated = not negated
            continue
        if term:
            groups[-1].add(term, negated=negated)
        elif operator in {"+", "|"}:
            groups[-1].join("&" if operator == "+" else "|")
        elif place in brackets and operator == "(":
            groups.append(_Group(negated=negated))
        elif place in brackets and operator == ")":
            closed = groups.pop()
            groups[-1].add(closed.query, negated=closed.negated)
        negated = False
    return groups[0].query


@dataclass(slots=True)
class _Group:
    """The query so far between two brackets; ``negated`` as a whole."""

    query: str = ""
    operator: str = ""
    negated: bool = False

    def join(self, operator: str) -> None:
        """Of several operators in a row the first one counts, before anything none."""
        if self.query and not self.operator:
            self.operator = operator

    def add(self, part: str, *, negated: bool) -> None:
        if not part:
            return
        part = f"!{part}" if negated else part
        self.query = f"({self.query} {self.operator or '&'} {part})" if self.query else part
        self.operator = ""


def _tokens(typed: str, weight: str) -> Iterator[tuple[str, str]]:
    """``(operator, term)``, one of them empty; both for what only separates."""
    terms = 0
    for match in _TOKEN.finditer(typed):
        text = match["phrase"] or match["word"] or ""
        term = _term(text, "*" if match["prefix"] else "", weight) if terms < MAX_TERMS else ""
        terms += bool(term)
        yield match["operator"] or "", term


def _term(text: str, prefix: str, weight: str) -> str:
    plain = words_apart(_ESCAPED.sub(r"\1", text)).strip()
    if not plain:
        return ""
    quoted = plain.replace("\\", "\\\\").replace("'", "''")
    flags = prefix + weight
    return f"'{quoted}'" + (f":{flags}" if flags else "")


def _pairs(operators: Sequence[str]) -> set[int]:
    """The places of brackets that open and close a group."""
    opened: list[int] = []
    found: set[int] = set()
    for place, operator in enumerate(operators):
        if operator == "(":
            opened.append(place)
        elif operator == ")" and opened:
            first = opened.pop()
            if len(opened) < MAX_DEPTH:
                found |= {first, place}
    return found
