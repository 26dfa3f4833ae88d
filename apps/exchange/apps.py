from django.apps import AppConfig


class ExchangeConfig(AppConfig):
    name = "apps.exchange"

    def ready(self) -> None:
        from apps.jobs.kinds import offer

        offer("hub_import", "apps.exchange.hub.importing.HubImport")
        offer("hub_export", "apps.exchange.hub.exporting.HubExport")
