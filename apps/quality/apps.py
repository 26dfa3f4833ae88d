from django.apps import AppConfig


class QualityConfig(AppConfig):
    name = "apps.quality"

    def ready(self) -> None:
        from apps.jobs.kinds import offer
        from apps.quality.models import DECIDED
        from apps.search.between import decide_by

        decide_by(DECIDED)
        offer("suggest_few_shot", "apps.quality.few_shot.FewShotSuggestions", is_upkeep=True)
        offer("pick_records", "apps.quality.picks.Picks")
        offer("refresh_review", "apps.quality.review.RefreshReview", is_upkeep=True)
        offer("accept_suggestions", "apps.quality.acceptance.AcceptSuggestions")
        offer("edit_questions", "apps.quality.schema_changes.job.EditQuestions")
        offer("find_near_duplicates", "apps.quality.near.job.FindNearDuplicates")
