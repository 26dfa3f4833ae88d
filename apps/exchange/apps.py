from django.apps import AppConfig


class ExchangeConfig(AppConfig):
    name = "apps.exchange"

    def ready(self) -> None:
        from apps.jobs.kinds import offer

        offer("hub_import", "apps.exchange.hub.importing.HubImport")
        offer("organization_export", "apps.exchange.organization.job.OrganizationExport")
        offer("hub_export", "apps.exchange.hub.exporting.HubExport")
        offer("file_import", "apps.exchange.creation.importing.FileImport")
        offer("dataset_copy", "apps.exchange.creation.copying.DatasetCopy")
