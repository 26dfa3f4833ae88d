"""The console's pages."""

from django.urls import path

from apps.console.audit_urls import urlpatterns as audit_patterns
from apps.console.creation_urls import urlpatterns as creation_patterns
from apps.console.general_urls import urlpatterns as general_patterns
from apps.console.people_urls import urlpatterns as people_patterns
from apps.console.plan_urls import urlpatterns as plan_patterns
from apps.console.settings_urls import urlpatterns as settings_patterns
from apps.console.standing_urls import urlpatterns as standing_patterns
from apps.console.studio_urls import urlpatterns as studio_patterns
from apps.console.views import drafts, editing, jobs, providers, runs

app_name = "console"

DATASET = "datasets/<uuid:dataset_id>/"
JOB = f"{DATASET}jobs/<uuid:job_id>/"
PROVIDER = "providers/<uuid:llm_provider_id>/"
urlpatterns = [
    path("providers/", providers.providers, name="providers"),
    path("providers/new/", providers.new, name="provider_new"),
    path("providers/budget/", providers.set_monthly_budget, name="budget"),
    path(PROVIDER, providers.provider, name="provider"),
    path(f"{PROVIDER}test/", providers.test, name="provider_test"),
    path(f"{PROVIDER}delete/", providers.delete, name="provider_delete"),
    path(f"{DATASET}jobs/", jobs.jobs, name="jobs"),
    path(JOB, jobs.job, name="job"),
    path(f"{JOB}budget/", jobs.set_job_budget, name="job_budget"),
    path(f"{JOB}<str:step>/", jobs.steer, name="job_step"),
    path(f"{DATASET}runs/", runs.new_run, name="new_run"),
    path(f"{DATASET}runs/chosen/", runs.choose, name="choose"),
    path(f"{DATASET}runs/<str:recipe>/", runs.run, name="run"),
    path(f"{DATASET}trials/<uuid:job_id>/", runs.trial, name="trial"),
    path(f"{DATASET}drafts/", drafts.drafts, name="drafts"),
    path(f"{DATASET}drafts/decide/", drafts.decide, name="decide_drafts"),
    path(f"{DATASET}drafts/undo/", drafts.undo, name="undo_drafts"),
    path(f"{DATASET}drafts/compare/", drafts.compare, name="compare_drafts"),
    path(f"{DATASET}drafts/<uuid:draft_id>/", editing.draft, name="draft"),
    *creation_patterns,
    *settings_patterns,
    *general_patterns,
    *studio_patterns,
    *audit_patterns,
    *standing_patterns,
    *plan_patterns,
    *people_patterns,
]
