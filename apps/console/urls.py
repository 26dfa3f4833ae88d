"""The console's pages."""

from django.urls import path

from apps.console.views import drafts, jobs, providers, runs

app_name = "console"

DATASET = "datasets/<uuid:dataset_id>/"
JOB = f"{DATASET}jobs/<uuid:job_id>/"
PROVIDER = "providers/<uuid:llm_provider_id>/"
urlpatterns = [
    path("providers/", providers.providers, name="providers"),
    path(f"{DATASET}jobs/", jobs.jobs, name="jobs"),
    path(f"{DATASET}runs/", runs.new_run, name="new_run"),
    path(f"{DATASET}drafts/", drafts.drafts, name="drafts"),
]
