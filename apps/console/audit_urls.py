"""The audit log, and the organization's data."""

from django.urls import path

from apps.console.views import audit, data

urlpatterns = [
    path("settings/audit/", audit.audit_log, name="audit"),
    path("settings/audit/keep/", audit.keep, name="audit_keep"),
    path("settings/audit/log.<str:format>", audit.download, name="audit_file"),
    path("settings/data/", data.data, name="data"),
    path("settings/data/export/", data.start_export, name="data_export"),
    path("settings/data/exports/<uuid:job_id>/", data.download, name="data_file"),
    path("settings/data/delete/", data.delete, name="data_delete"),
    path("settings/data/keep/", data.keep, name="data_keep"),
]
