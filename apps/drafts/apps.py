from django.apps import AppConfig


class DraftsConfig(AppConfig):
    name = "apps.drafts"

    def ready(self) -> None:
        from apps.jobs.kinds import offer

        offer("compare_drafts", "apps.drafts.comparing.CompareDrafts")
