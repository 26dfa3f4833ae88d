from django.apps import AppConfig


class AnnotationConfig(AppConfig):
    name = "apps.annotation"

    def ready(self) -> None:
        from apps.jobs.kinds import offer

        offer("recompute_dataset", "apps.annotation.recompute.Recompute")
