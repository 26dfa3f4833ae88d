"""Figures that took long to compute are kept for a few minutes; quick ones are always fresh."""

from collections.abc import Callable
from time import monotonic
from typing import Final, TypeVar, cast

from django.core.cache import cache
from django.utils.translation import get_language

from apps.core.tenancy import current

_T = TypeVar("_T")

SLOW: Final = 1.0  # s from which a result is kept
KEPT: Final = 300  # s


def kept(name: str, compute: Callable[[], _T]) -> _T:
    """The result of that name in the entered organization and the reader's language."""
    key = f"figures:{current()}:{get_language()}:{name}"
    found = cache.get(key)
    if found is not None:
        return cast("_T", found)
    begin = monotonic()
    made = compute()
    if monotonic() - begin > SLOW:
        cache.set(key, made, KEPT)
    return made
