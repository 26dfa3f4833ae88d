from django.apps import AppConfig


class PipelinesConfig(AppConfig):
    name = "apps.pipelines"

    def ready(self) -> None:
        from apps.pipelines.recipes.registry import RECIPES, offer

        for name, path in RECIPES.items():
            offer(name, path)
