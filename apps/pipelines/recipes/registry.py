"""The recipes that can be started, by name: the kind of their jobs.

A recipe is imported on first use, so a web process loads only those it is asked about. Apps above
``offer`` theirs in their ``AppConfig.ready``.
"""

from functools import cache
from typing import TYPE_CHECKING, Any, Final

from django.utils.module_loading import import_string

from apps.core.errors import InvalidError
from apps.jobs import kinds

if TYPE_CHECKING:
    from apps.pipelines.recipes.base import Recipe

KIND: Final = "apps.pipelines.kinds.RecipeKind"
RECIPES: Final = {
    "suggest": "apps.pipelines.recipes.suggest.Suggest",
    "feedback": "apps.pipelines.recipes.feedback.Feedback",
    "preference": "apps.pipelines.recipes.preference.Preference",
    "responses": "apps.pipelines.recipes.responses.Responses",
    "like_this": "apps.pipelines.recipes.like_this.LikeThis",
    "retrieval": "apps.pipelines.recipes.retrieval.Retrieval",
    "self_instruct": "apps.pipelines.recipes.instructions.SelfInstruct",
    "evolve": "apps.pipelines.recipes.instructions.Evolve",
    "genstruct": "apps.pipelines.recipes.instructions.Genstruct",
    "classification": "apps.pipelines.recipes.classification.Classification",
    "self_check": "apps.pipelines.recipes.self_check.SelfCheck",
    "quality": "apps.pipelines.recipes.quality.Quality",
    "rules": "apps.pipelines.recipes.rules.Rules",
    "embed": "apps.pipelines.recipes.embed.Embed",
}
_paths: dict[str, str] = {}


def offer(name: str, path: str) -> None:
    """Make the recipe at the dotted ``path`` startable as a job of kind ``name``."""
    _paths[name] = path
    kinds.offer(name, KIND)


def names() -> list[str]:
    """The recipes that can be started."""
    return sorted(_paths)


@cache
def load(name: str) -> "Recipe[Any, Any]":
    """The recipe. Raises ``InvalidError`` for a name that nobody knows."""
    if name not in _paths:
        raise InvalidError(f"There is no recipe {name!r}. There are: {', '.join(names())}.")
    recipe: Recipe[Any, Any] = import_string(_paths[name])()
    return recipe
