"""Raw tables in Django's admin: to look at, never to change, and without what is secret."""

from typing import TYPE_CHECKING, Any, Final

from django.apps import apps
from django.contrib import admin
from django.db import models
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect

from apps.operator.access import for_operators, has_proof, is_staff

# Columns that no page shows: what is sealed, hashed, signed or shown only once.
_SECRET: Final = ("password", "secret", "digest", "sealed", "token", "session_data", "fingerprint")
_SECRET_OF: Final = {"idempotent_request": {"body"}, "mfa_authenticator": {"data"}}
_LEFT_OUT: Final = {"django_session", "usersessions_usersession"}  # keys that let one in
_MOST_COLUMNS: Final = 8


if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[models.Model]
else:
    _ModelAdmin = admin.ModelAdmin


class OperatorAdminSite(admin.AdminSite):
    """Behind the operator's door instead of a log-in of its own."""

    site_header = site_title = "Stoneware"
    index_title = "Tables"
    site_url = "/operator/"

    def has_permission(self, request: HttpRequest) -> bool:
        return is_staff(request) and has_proof(request)

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        return for_operators(super().admin_view(view, cacheable))

    def login(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        if not is_staff(request):
            raise Http404
        return redirect("operator:home")


class TableAdmin(_ModelAdmin):
    """A table as it is, of all organizations, through the operator's connection."""

    show_full_result_count = False  # a count of a million rows for a number nobody needs
    list_per_page = 50
    actions = None
    list_select_related = False  # every column shown is of the row itself
    ordering = ("-pk",)

    def __init__(self, model: type[models.Model], site: admin.AdminSite) -> None:
        columns = [field for field in model._meta.concrete_fields if not is_secret(field)]
        self.shown = [field.attname for field in columns]
        plain = [field.attname for field in columns if not isinstance(field, models.JSONField)]
        self.listed = plain[:_MOST_COLUMNS]
        super().__init__(model, site)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.shown

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.shown

    def get_list_display(self, request: HttpRequest) -> Any:
        return self.listed

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[models.Model]:
        secret = [f.attname for f in self.model._meta.concrete_fields if is_secret(f)]
        rows: models.QuerySet[models.Model] = models.QuerySet(self.model, using="operator")
        return rows.defer(*secret).order_by("-pk")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return True

    def has_module_permission(self, request: HttpRequest) -> bool:
        return True


def is_secret(field: Any) -> bool:
    """Whether no page shows the column; bytes are always sealed or packed."""
    known = _SECRET_OF.get(field.model._meta.db_table, set())
    named = any(word in field.name for word in _SECRET) or field.name in known
    return named or isinstance(field, models.BinaryField)


def register_all() -> None:
    """Every table with a key of one column; the others hang on those."""
    for model in apps.get_models():
        meta = model._meta
        composite = len(meta.pk_fields) > 1
        if not composite and meta.managed and meta.db_table not in _LEFT_OUT:
            admin.site.register(model, TableAdmin)
