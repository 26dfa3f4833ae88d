"""Progress, quality, and the records as a file."""

from django.urls import path

from apps.console.views import exports, standing

DATASET = "datasets/<uuid:dataset_id>/"
urlpatterns = [
    path(f"{DATASET}progress/", standing.team, name="team"),
    path(f"{DATASET}quotas/", standing.set_quotas, name="set_quotas"),
    path(f"{DATASET}quality/", standing.quality, name="quality"),
    path(f"{DATASET}export/", exports.export, name="export"),
    path(f"{DATASET}export/file/", exports.download, name="export_file"),
    path("people/<uuid:membership_id>/", standing.person_work, name="person_work"),
]
