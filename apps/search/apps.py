from django.apps import AppConfig


class SearchConfig(AppConfig):
    name = "apps.search"

    def ready(self) -> None:
        from apps.jobs.kinds import offer

        offer("bulk_answer", "apps.search.bulk_answers.BulkAnswers")
        offer("bulk_undo", "apps.search.bulk_answers.BulkUndo")
