"""The URL table with three bad views in it, which the walk must find."""

from uuid import UUID

from django.db import connections
from django.http import HttpRequest, HttpResponse  # noqa: TID251
from django.urls import path

from config.urls import urlpatterns as good


def by_id(request: HttpRequest, dataset_id: UUID) -> HttpResponse:
    """Answers to anybody who knows an id."""
    return HttpResponse(b"ok")


def all_names(request: HttpRequest) -> HttpResponse:
    """Shows the names of everybody's datasets."""
    with connections["operator"].cursor() as cursor:
        cursor.execute("SELECT string_agg(name, ' ') FROM dataset")
        return HttpResponse(str(cursor.fetchone()[0]))


def broken(request: HttpRequest) -> HttpResponse:
    return HttpResponse(b"sorry", status=500)


urlpatterns = [
    path("leak/<uuid:dataset_id>/", by_id),
    path("leak/names/", all_names),
    path("leak/broken/", broken),
    *good,
]
