"""Progress and quality."""

from django.urls import path

from apps.console.views import standing

DATASET = "datasets/<uuid:dataset_id>/"
urlpatterns = [
    path(f"{DATASET}progress/", standing.team, name="team"),
    path(f"{DATASET}quotas/", standing.set_quotas, name="set_quotas"),
    path(f"{DATASET}quality/", standing.quality, name="quality"),
    path("people/<uuid:membership_id>/", standing.person_work, name="person_work"),
]
