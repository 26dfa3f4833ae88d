"""Django's admin, behind the operator's door."""

from django.contrib.admin.apps import SimpleAdminConfig


class OperatorAdminConfig(SimpleAdminConfig):
    default_site = "apps.operator.tables.OperatorAdminSite"
