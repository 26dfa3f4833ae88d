"""Rules that need no model: language, length, patterns.

Heuristics of this kind filter web text: Gopher (Rae et al., 2021, arXiv:2112.11446), C4 (Raffel
et al., 2019, arXiv:1910.10683). Patterns are PostgreSQL's regular expressions and run there:
without back-references its engine does not take exponential time.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar, Final

from django.db import DataError, transaction
from pydantic import Field, field_validator

from apps.core.errors import InvalidError
from apps.core.prepared import raw_cursor
from apps.llms.wire import Request
from apps.pipelines.languages import LANGUAGES, language_of
from apps.pipelines.recipes import base
from apps.pipelines.recipes.base import Context, Payload
from apps.pipelines.recipes.filters import FilterParams, FilterRecipe, Finding, Subject
from apps.pipelines.recipes.materials import check_text_fields

MAX_PATTERN: Final = 500  # characters
MATCHED: Final = "matched"
_BACK_REFERENCE: Final = re.compile(r"(?<!\\)(?:\\\\)*\\[1-9]")

_MATCHES: Final = """
SELECT n::int, p.number::int FROM unnest(%(texts)s::text[]) WITH ORDINALITY AS t (body, n),
    unnest(%(patterns)s::text[]) WITH ORDINALITY AS p (pattern, number)
WHERE t.body ~ p.pattern
"""


class Params(FilterParams):
    """Lengths are in characters of each field. Every pattern of ``must_match`` has to be found in
    the fields' text, none of ``must_not_match``. A text whose language cannot be told passes."""

    fields: list[str] = Field(min_length=1, max_length=50)
    shortest: int = Field(default=0, ge=0)
    longest: int | None = Field(default=None, ge=1)
    languages: list[str] = Field(default_factory=list)
    must_match: list[str] = Field(default_factory=list, max_length=20)
    must_not_match: list[str] = Field(default_factory=list, max_length=20)

    @field_validator("languages")
    @classmethod
    def _known(cls, languages: list[str]) -> list[str]:
        for language in languages:
            if language not in LANGUAGES:
                raise ValueError(
                    f"unknown language {language!r}; there are: {', '.join(LANGUAGES)}"
                )
        return languages

    @property
    def patterns(self) -> list[str]:
        return [*self.must_match, *self.must_not_match]


class Rules(FilterRecipe):
    """Keeps what obeys the rules; the reason names each that is broken."""

    name: ClassVar[str] = "rules"
    title: ClassVar[str] = "Rules without a model"
    paper: ClassVar[str] = "arXiv:2112.11446, arXiv:1910.10683"
    Params: ClassVar[type[base.Params]] = Params

    def needs_model(self, params: Any) -> bool:
        return False

    def check(self, context: Context) -> None:
        super().check(context)
        params: Params = context.params
        check_text_fields(context.schema, params.fields)
        for pattern in params.patterns:
            _check_pattern(pattern)

    def load(self, context: Context, payloads: Sequence[Payload]) -> list[Subject | None]:
        params: Params = context.params
        subjects = super().load(context, payloads)
        if not params.patterns:
            return subjects
        texts = [_text(params, subject) for subject in subjects]
        facts = {"texts": texts, "patterns": params.patterns}
        found = set(raw_cursor().execute(_MATCHES, facts).fetchall())
        return [
            subject
            and replace(
                subject,
                facts={MATCHED: [n for n in range(len(params.patterns)) if (row, n + 1) in found]},
            )
            for row, subject in enumerate(subjects, start=1)
        ]

    def requests(self, context: Context, material: Subject | None) -> list[Request]:
        return []

    def parse(
        self, context: Context, material: Subject | None, answers: list[Any]
    ) -> Finding | None:
        if material is None:
            return None
        broken = _broken(context.params, material)
        return Finding(not broken, "; ".join(broken))


def _check_pattern(pattern: str) -> None:
    if not 1 <= len(pattern) <= MAX_PATTERN or "\0" in pattern:
        raise InvalidError(f"A pattern has 1 to {MAX_PATTERN} characters.")
    if _BACK_REFERENCE.search(pattern):
        raise InvalidError(f"{pattern!r} refers back to a part of itself, which may take for ever.")
    try:
        with transaction.atomic():
            raw_cursor().execute("SELECT '' ~ %(pattern)s::text", {"pattern": pattern})
    except DataError as error:
        raise InvalidError(f"{pattern!r} is no regular expression: {error}") from error


def _text(params: Params, subject: Subject | None) -> str:
    return "" if subject is None else "\n".join(subject.texts.get(n, "") for n in params.fields)


def _broken(params: Params, subject: Subject) -> list[str]:
    broken = []
    for name in params.fields:
        length = len(subject.texts.get(name, ""))
        if length < params.shortest:
            broken.append(f"{name} has {length} characters, fewer than {params.shortest}")
        if params.longest is not None and length > params.longest:
            broken.append(f"{name} has {length} characters, more than {params.longest}")
    language = language_of(_text(params, subject)) if params.languages else None
    if language is not None and language not in params.languages:
        broken.append(f"the language is {language}")
    return broken + _broken_patterns(params, subject)


def _broken_patterns(params: Params, subject: Subject) -> list[str]:
    matched = set(subject.facts.get(MATCHED, ()))
    wanted = len(params.must_match)
    missing = [f"{p!r} is not in it" for n, p in enumerate(params.must_match) if n not in matched]
    unwanted = enumerate(params.must_not_match, start=wanted)
    return missing + [f"{pattern!r} is in it" for n, pattern in unwanted if n in matched]
