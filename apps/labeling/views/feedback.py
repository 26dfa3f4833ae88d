"""My feedback: what reviewers changed in one's answers and why, and where one was named."""

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from apps.labeling.feedback import feedback_of, mentions_of
from apps.labeling.http import LabelingRequest, for_members
from apps.quality import talk


@never_cache
@require_GET
@for_members
def feedback(request: LabelingRequest) -> HttpResponse:
    """The newest first; feedback shown here counts as read, mentions once their thread is."""
    rows = feedback_of(request.member)
    mentions = mentions_of(request.member)
    talk.read_feedback(member=request.member, feedback=[row.feedback for row in rows])
    context = {"rows": rows, "mentions": mentions}
    return render(request, "labeling/feedback.html", context)
