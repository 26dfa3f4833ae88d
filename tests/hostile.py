"""Texts that try to be more than text, put into every column, and how to see that they failed.

The columns are found among the models: what a new one holds is hostile here from its first day,
unless it stands among those that the code itself writes and reads.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator
from html.parser import HTMLParser
from typing import Any, Final

from django.apps import apps
from django.db import DatabaseError, models, transaction
from django.db.models import Model

BREAKOUT: Final = "\"'></title></script></textarea><x-evil onfocus=alert(1)>"
# Evaluated by a template in a template, or by a spreadsheet.
TEMPLATE: Final = '{{7*7777}}{{"ev"|add:"aluatd"}}'
EVALUATED: Final = ("54439", "evaluatd")
REVERSED: Final = "\u202e"
FORMULAS: Final = ("=", "+", "-", "@", "\t", "\r")

# The code writes and reads these; nobody else has a say in what they hold.
MACHINE: Final = {
    *("api_key.digest", "api_key.prefix", "draft.digest", "gold_set.digest", "invitation.digest"),
    *("event.kind", "event_subscription.kind", "job.kind", "draft.recipe", "prompt_version.recipe"),
    *("event_seal.hash", "event_seal.signature", "idempotent_request.fingerprint"),
    *("invoice.currency", "organization.slug", "organization.domain", "organization.domain_token"),
    *("prompt_version.strategy", "prompt_version.model", "llm_provider.default_model"),
    *("suggestion.value_key", "rewritten_answer.status_after", "rewritten_answer.status_before"),
    *("suggestion_version.type", "user_account.password", "user_account.language"),
    # what a draft or a figure is found by again
    *("draft.agent", "suggestion_version.agent", "prompt_evaluation.agent", "acceptance.agent"),
}
# What people may leave out, which says nothing of a row's state.
OPTIONAL: Final = {"question.description", "webhook.description", "membership.first_name"}


def hostile(number: int, room: int | None = None) -> str:
    """A formula, markup, a template and an override, with a number to know it by."""
    return f"=⟦{number}⟧{BREAKOUT}{TEMPLATE}{REVERSED}"[:room]


def numbers_in(text: str) -> set[int]:
    return {int(found) for found in re.findall(r"⟦(\d+)⟧", text)}


# --- Into the columns ----------------------------------------------------------------------------
def texts_of(model: type[Model]) -> Iterator[Any]:
    """The text columns that somebody else than the code fills."""
    for field in model._meta.local_concrete_fields:
        is_text = isinstance(field, models.CharField | models.TextField)
        name = f"{model._meta.db_table}.{field.column}"
        if field.column and is_text and not field.choices and name not in MACHINE:
            yield field


def poison(tables: Iterable[type[Model]], texts: dict[str, int]) -> set[str]:
    """Make every text of the entered organization hostile; returns what the database refused.

    ``texts`` learns the number by which each column's text is known.
    """
    refused = set()
    for model in tables:
        for field in texts_of(model):
            name = f"{model._meta.db_table}.{field.column}"
            number = texts.setdefault(name, len(texts) + 1)
            if not _fill(model, field, number):
                refused.add(name)
    return refused


def _fill(model: type[Model], field: Any, number: int) -> bool:
    """Whether the database took it; rows that may not be alike get a number of their own."""
    rows = model._default_manager.all()
    if f"{model._meta.db_table}.{field.column}" not in OPTIONAL:
        rows = rows.exclude(**{field.name: ""})
        rows = rows.exclude(**{field.name: None}) if field.null else rows
    try:
        with transaction.atomic():
            for place, row in enumerate(rows.values_list("pk", flat=True)[:200]):
                text = hostile(number, field.max_length and field.max_length - 4)
                text += str(place) if place else ""
                model._default_manager.filter(pk=row).update(**{field.name: text})
    except DatabaseError:
        return False
    return True


def tables() -> list[type[Model]]:
    """Every table of a tenant, parents before children or not: only texts change."""
    return [m for m in apps.get_models() if m._meta.label.split(".")[0] in _OURS]


_OURS: Final = {
    config.label for config in apps.get_app_configs() if config.name.startswith("apps.")
}


# --- What became of them -------------------------------------------------------------------------
class Faults(HTMLParser):
    """What of a page is markup that a text has brought."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "x-evil":
            self.found.append(f"a tag of a text, in line {self.getpos()[0]}")
        for name, value in attrs:
            if name.startswith("on"):
                self.found.append(f"<{tag} {name}={value}>")
            if name in {"href", "src", "action", "formaction"} and not _is_harmless(value or ""):
                self.found.append(f"<{tag} {name}={value}>")


def _is_harmless(address: str) -> bool:
    scheme = re.match(r"\s*([a-z][a-z0-9+.-]*):", address, re.IGNORECASE)
    return not scheme or scheme[1].lower() in {"http", "https", "mailto", "data", "otpauth"}


def faults_of_page(text: str) -> list[str]:
    parser = Faults()
    parser.feed(text)
    return parser.found + [f"evaluated: {one}" for one in EVALUATED if one in text]


def faults_of_csv(text: str) -> list[str]:
    """Cells that a spreadsheet would evaluate; numbers may begin with a sign."""
    cells = [cell for row in csv.reader(io.StringIO(text)) for cell in row]
    number = re.compile(r"-?[\d.,]+(%|e-?\d+)?$")
    return [cell for cell in cells if cell.startswith(FORMULAS) and not number.match(cell)]
