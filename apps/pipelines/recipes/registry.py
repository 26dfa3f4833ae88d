"""The recipes that can be started, by name: the kind of their jobs.

A recipe is imported on first use, so a web process loads only those it is asked about.
"""

from functools import cache
from typing import Any, Final

from django.utils.module_loading import import_string

from apps.core.errors import InvalidError
from apps.pipelines.recipes.base import Recipe

RECIPES: Final = {
    "suggest": "apps.pipelines.recipes.suggest.Suggest",
}


@cache
def load(name: str) -> Recipe[Any, Any]:
    """The recipe. Raises ``InvalidError`` for a name that nobody knows."""
    if name not in RECIPES:
        raise InvalidError(f"There is no recipe {name!r}. There are: {', '.join(sorted(RECIPES))}.")
    recipe = import_string(RECIPES[name])()
    if not isinstance(recipe, Recipe):
        raise TypeError(f"{RECIPES[name]} is not a Recipe.")
    return recipe
