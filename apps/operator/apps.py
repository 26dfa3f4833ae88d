from django.apps import AppConfig


class OperatorConfig(AppConfig):
    name = "apps.operator"

    def ready(self) -> None:
        from apps.operator import tables

        tables.register_all()
