"""The cards' figures: counted at once in a small dataset, by a worker in a large one, and kept.

A worker's figures stand until they are ``OLD``; then they go on standing while it counts again.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.core.cache import cache
from django.utils import timezone
from django.utils.translation import get_language

from apps.console import people_cards, progress_cards, quality_cards
from apps.console.standing_cards import Look
from apps.core.doorbell import ring
from apps.core.tenancy import current
from apps.records.models import DatasetCounter

PEOPLE: Final = "people"
COUNTED: Final[Mapping[str, Callable[[Look], Any]]] = {
    "burn-up": progress_cards.burn_up_card,
    "daily": progress_cards.daily_card,
    "redundancy": progress_cards.redundancy_card,
    "agreement": quality_cards.agreement_card,
    "spread": quality_cards.spread_card,
    "pairs": quality_cards.pairs_card,
    "confusion": quality_cards.confusion_card,
    "wins": quality_cards.wins_card,
    PEOPLE: people_cards.people_figures,
}
SMALL: Final = 50_000  # records and answers together: some 0.3 s for any card
OLD: Final = timedelta(minutes=5)
KEPT: Final = 24 * 3600  # s
PATIENCE: Final = 60  # s after which another worker is asked


@dataclass(frozen=True, slots=True)
class Figures:
    """A card, or what the people's is made of; ``at`` is when a worker counted it."""

    value: Any
    at: datetime | None = None


def figures(look: Look, key: str, *, at_once: bool = False) -> Figures | None:
    """None as long as a worker counts what nobody has asked for lately, unless ``at_once``."""
    if is_small(look):
        return Figures(COUNTED[key](look))
    found: Figures | None = cache.get(_name(look, key))
    if found is None and at_once:
        return count(look, key)
    if found is None or found.at is None or timezone.now() - found.at > OLD:
        _ask(look, key)
    return found


def is_small(look: Look) -> bool:
    """One query, whatever the size."""
    counter = DatasetCounter.objects.filter(dataset=look.dataset).first()
    records = counter.records if counter else 0
    return records * (1 + look.dataset.min_submitted) <= SMALL


def count(look: Look, key: str) -> Figures:
    """Count and keep."""
    made = Figures(COUNTED[key](look), timezone.now())
    cache.set(_name(look, key), made, KEPT)
    cache.delete(_asked(look, key))
    return made


def _ask(look: Look, key: str) -> None:
    """Unless a worker has been asked just now."""
    if cache.add(_asked(look, key), 1, PATIENCE):
        place = (current(), look.dataset.id, key, look.query, get_language() or "")
        ring("console.count_figures", *place, queue="interactive", expires=PATIENCE)


def _name(look: Look, key: str) -> str:
    return f"figures:{current()}:{look.dataset.id}:{key}:{look.query}:{get_language()}"


def _asked(look: Look, key: str) -> str:
    return f"{_name(look, key)}:asked"
