from django.apps import AppConfig


class EvaluationConfig(AppConfig):
    name = "apps.evaluation"

    def ready(self) -> None:
        from apps.pipelines.recipes.registry import offer

        offer("evaluate", "apps.evaluation.recipe.Evaluate")
