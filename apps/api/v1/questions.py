"""The questions of a dataset."""

from typing import Any
from uuid import UUID

from django.urls import path
from rest_framework.response import Response as ApiResponse

from apps.api.etags import tagged, tagged_unless_known
from apps.api.v1.lookups import find_dataset
from apps.api.v1.parts import Name, Title, find_part, find_part_to_change, part_document
from apps.api.views import LEFT_OUT, ApiRequest, ApiViewSet, Schema
from apps.datasets.models import Question
from apps.datasets.services import create_question, delete_question, update_question
from apps.datasets.settings import Description, QuestionChange, QuestionSettings
from apps.workspaces.permissions import Action


class QuestionCreate(Schema):
    """``required: null`` means no."""

    name: Name
    title: Title
    description: Description | None = None
    required: bool | None = None
    settings: QuestionSettings


class QuestionUpdate(Schema):
    """Any may be left out; only the description may be null."""

    title: Title = LEFT_OUT
    description: Description | None = None
    settings: QuestionChange = LEFT_OUT

    def changes(self) -> dict[str, Any]:
        """What was sent, the settings as their model."""
        return {name: getattr(self, name) for name in self.model_fields_set}


def question_document(question: Question) -> dict[str, Any]:
    return part_document(
        question,
        description=question.description,
        required=question.required,
        settings=question.settings,
    )


class DatasetQuestions(ApiViewSet):
    def list(self, request: ApiRequest, dataset_id: UUID) -> ApiResponse:
        dataset = find_dataset(self.member, dataset_id, Action.VIEW_DATASET)
        questions = Question.objects.filter(dataset=dataset).in_order()
        return ApiResponse({"items": [question_document(question) for question in questions]})

    def create(self, request: ApiRequest, dataset_id: UUID) -> ApiResponse:
        body = self.read_body(QuestionCreate)
        dataset = find_dataset(self.member, dataset_id, Action.MANAGE_DATASET)
        question = create_question(
            dataset=dataset,
            name=body.name,
            title=body.title,
            description=body.description,
            required=bool(body.required),
            settings=body.settings,
        )
        return tagged(question_document(question), status=201)


class Questions(ApiViewSet):
    def retrieve(self, request: ApiRequest, question_id: UUID) -> ApiResponse:
        question = find_part(Question.objects.all(), self.member, question_id, Action.VIEW_DATASET)
        return tagged_unless_known(request, question_document(question))

    def update(self, request: ApiRequest, question_id: UUID) -> ApiResponse:
        body = self.read_body(QuestionUpdate)
        question = self._find(question_id)
        question = update_question(question=question, changes=body.changes())
        return tagged(question_document(question))

    def destroy(self, request: ApiRequest, question_id: UUID) -> ApiResponse:
        question = self._find(question_id)
        delete_question(question=question)
        return ApiResponse(question_document(question))

    def _find(self, question_id: UUID) -> Question:
        rows = Question.objects.all()
        question: Question = find_part_to_change(self.request, rows, question_id, question_document)
        return question


urlpatterns = [
    path(
        "datasets/<dataset_id>/questions",
        DatasetQuestions.as_view({"get": "list", "post": "create"}),
    ),
    path(
        "questions/<question_id>",
        Questions.as_view({"get": "retrieve", "patch": "update", "delete": "destroy"}),
    ),
]
