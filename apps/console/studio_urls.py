"""Pages about prompts: the studio, gold sets and evaluations, and monitors."""

from django.urls import path

from apps.console.views import automation, evaluations, gold, guidelines, monitoring, studio

DATASET = "datasets/<uuid:dataset_id>/"
STUDIO = f"{DATASET}studio/"
EVALUATIONS = f"{DATASET}evaluations/"
EVALUATION = f"{EVALUATIONS}<uuid:prompt_evaluation_id>/"
urlpatterns = [
    path(STUDIO, studio.studio, name="studio"),
    path(f"{STUDIO}try/", studio.studio_try, name="studio_try"),
    path(f"{STUDIO}prompts/", studio.studio_prompts, name="studio_prompts"),
    path(f"{STUDIO}save/", studio.studio_save, name="studio_save"),
    path(f"{STUDIO}run/", studio.studio_run, name="studio_run"),
    path(f"{STUDIO}guidelines/", guidelines.guidelines, name="guidelines"),
    path(f"{STUDIO}previews/<uuid:job_id>/", studio.preview_cards, name="preview_cards"),
    path(
        f"{STUDIO}versions/<uuid:prompt_version_id>/", studio.prompt_version, name="prompt_version"
    ),
    path(f"{DATASET}gold/freeze/", gold.freeze, name="freeze"),
    path(f"{DATASET}gold/<uuid:gold_set_id>/", gold.gold_set, name="gold_set"),
    path(EVALUATIONS, evaluations.evaluations, name="evaluations"),
    path(f"{EVALUATIONS}start/", evaluations.start, name="start_evaluation"),
    path(f"{EVALUATIONS}compare/", evaluations.comparison, name="comparison"),
    path(EVALUATION, evaluations.evaluation, name="evaluation"),
    path(f"{EVALUATION}cell/", evaluations.cell, name="evaluation_cell"),
    path(f"{EVALUATION}review/", evaluations.review, name="evaluation_review"),
    path(f"{EVALUATION}promote/", evaluations.promotion, name="promotion"),
    path(f"{EVALUATION}delete/", evaluations.delete, name="delete_evaluation"),
    path(f"{EVALUATION}automation/", automation.automation, name="automation"),
    path(
        f"{DATASET}acceptances/<uuid:acceptance_id>/undo/", automation.undo, name="undo_acceptance"
    ),
    path(f"{DATASET}monitoring/", monitoring.monitoring, name="monitoring"),
]
