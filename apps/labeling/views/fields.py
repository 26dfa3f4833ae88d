"""A custom field in a frame of its own: another document, without an origin, with its own policy.

What a template or a record holds runs, if at all, where no session, no page and no network is.
"""

import json
from uuid import UUID

from django.conf import settings
from django.http import Http404, HttpResponse
from django.utils.html import escape
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.clickjacking import xframe_options_exempt
from django.views.decorators.http import require_GET

from apps.core.errors import InvalidError
from apps.datasets.models import FieldType
from apps.datasets.schema import load_schema
from apps.labeling import handlebars
from apps.labeling.fields import shown_metadata
from apps.labeling.http import LabelingRequest, for_members
from apps.labeling.views.comments import find_record
from apps.organizations.models import Role

_POLICY = (
    "sandbox{allow}; default-src 'none'; style-src 'unsafe-inline'; img-src {images};"
    " font-src data:; media-src data:{script}; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'self'"
)
POLICY = _POLICY.format(allow="", images="data: https:", script="")
SCRIPT_POLICY = _POLICY.format(
    allow=" allow-scripts", images="data:", script="; script-src 'unsafe-inline'"
)
_PAGE = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
    '<meta name="color-scheme" content="light dark"><style>body{{font:400 1rem/1.6 Georgia,serif;'
    "margin:.75rem;overflow-wrap:anywhere}}img{{max-width:100%}}</style></head><body>{body}</body></html>"
)


@xframe_options_exempt
@never_cache
@require_GET
@for_members
def custom_field(
    request: LabelingRequest, dataset_id: UUID, record_id: UUID, name: str
) -> HttpResponse:
    """The field as its template shows it. Scripts run only where the instance allows them."""
    record = find_record(request, dataset_id, record_id)
    schema = load_schema(record.dataset)
    field = schema.fields.get(name)
    if field is None or field.type != FieldType.CUSTOM:
        raise Http404
    metadata = shown_metadata(
        schema, record.metadata, all_of_it=request.member.role != Role.ANNOTATOR
    )
    facts = {"fields": record.fields, "metadata": metadata, "id": record.external_id}
    wants_scripts = bool(field.settings.get("advanced_mode"))
    if wants_scripts and allows_scripts(request):
        body, policy = _with_script(field.settings["template"], facts), SCRIPT_POLICY
    elif wants_scripts:
        body, policy = _as_text(_("This field needs scripts."), record.fields.get(name)), POLICY
    else:
        body, policy = _fill_in(field.settings["template"], facts, record.fields.get(name)), POLICY
    response = HttpResponse(_PAGE.format(title=escape(field.title), body=body))
    response["Content-Security-Policy"] = policy  # the middleware leaves one that is there
    return response


def allows_scripts(request: LabelingRequest) -> bool:
    """Whether whoever runs the instance lets this organization's templates bring scripts."""
    return request.member.organization.slug in settings.FIELD_SCRIPT_ORGANIZATIONS


def _with_script(template: str, facts: dict[str, object]) -> str:
    """Scripts find the record as ``record``; its text cannot end the element it stands in."""
    text = json.dumps(facts, ensure_ascii=True).replace("<", "\\u003c")
    return f"<script>const record = {text};</script>{template}"


def _fill_in(template: str, facts: dict[str, object], value: object) -> str:
    try:
        return handlebars.render(template, {"record": facts})
    except InvalidError as error:
        return _as_text(_("The template of this field does not work: ") + error.message, value)


def _as_text(reason: str, value: object) -> str:
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return f"<p>{escape(reason)}</p><pre>{escape(text)}</pre>"
