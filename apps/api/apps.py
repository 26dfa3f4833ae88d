from django.apps import AppConfig


class ApiConfig(AppConfig):
    name = "apps.api"

    def ready(self) -> None:
        from apps.webhooks.documents import offer

        for resource in ("dataset", "record", "response", "monitor"):
            offer(resource, f"apps.api.webhook_documents.{resource}_documents")
