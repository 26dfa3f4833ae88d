"""What each operation is for, who may call it, and what it answers; by section.

An operation is named ``METHOD /path``. A test holds this table against the URL table.
"""

from collections.abc import Mapping
from typing import Any, Final

from apps.api.openapi import background, drafts, measures, prompts
from apps.api.openapi import objects as o
from apps.api.openapi.operation import Operation, Who
from apps.api.openapi.operation import row as _row

__all__ = ["SECTIONS", "TAGGED", "Operation", "Who"]


# Objects that are read and changed with entity tags.
TAGGED: Final = {
    "/datasets/{dataset_id}",
    "/fields/{field_id}",
    "/questions/{question_id}",
    "/metadata-properties/{metadata_property_id}",
    "/vectors-settings/{vector_settings_id}",
}
_HERE: Final = {
    "GET /version": _row("Version of the server", Who.ANYONE, o.Version),
    "GET /status": _row("State of the server", Who.ANYONE, o.Status),
    "GET /settings": _row("What a front end may offer", Who.ANYONE, o.ServerSettings),
    "GET /schema": _row("This description as OpenAPI 3.1", Who.ANYONE, dict[str, Any]),
    "GET /docs": _row("This description as a page", Who.ANYONE, str, media="text/html"),
}
_KEYS: Final = {
    "POST /token": _row("Log in by password, for a bearer token", Who.ANYONE, o.Token, 201),
    "GET /oauth2/providers": _row(
        "List the providers of log-ins", Who.ANYONE, o.Listing[o.LoginProvider]
    ),
    "GET /oauth2/providers/{provider}/authentication": _row(
        "Go to a provider to log in", Who.ANYONE, o.Elsewhere, 303
    ),
    "GET /oauth2/providers/{provider}/access-token": _row(
        "Come back from a provider, for a bearer token", Who.ANYONE, o.Token
    ),
    "GET /me/api-keys": _row("List one's API keys", Who.USERS, o.Listing[o.ApiKey]),
    "POST /me/api-keys": _row("Make an API key", Who.USERS, o.ApiKey, 201),
    "DELETE /me/api-keys/{api_key_id}": _row("Revoke an API key", Who.USERS, o.ApiKey),
}
_PEOPLE: Final = {
    "GET /me": _row("The caller", Who.USERS, o.User),
    "GET /users": _row("List users", Who.OWNERS, o.Listing[o.User]),
    "POST /users": _row("Create a user", Who.OWNERS, o.User, 201),
    "GET /users/{user_id}": _row("Get a user", Who.OWNERS, o.User),
    "PATCH /users/{user_id}": _row("Change a user", Who.OWNERS, o.User),
    "DELETE /users/{user_id}": _row("Delete a user", Who.OWNERS, o.User),
    "GET /users/{user_id}/workspaces": _row(
        "List a user's workspaces", Who.OWNERS, o.Listing[o.Workspace]
    ),
}
_WORKSPACES: Final = {
    "GET /me/workspaces": _row("List one's workspaces", Who.USERS, o.Listing[o.Workspace]),
    "POST /workspaces": _row("Create a workspace", Who.OWNERS, o.Workspace, 201),
    "GET /workspaces/{workspace_id}": _row("Get a workspace", Who.MEMBERS, o.Workspace),
    "DELETE /workspaces/{workspace_id}": _row("Delete a workspace", Who.OWNERS, o.Workspace),
    "GET /workspaces/{workspace_id}/budget": _row(
        "Get the budget of a workspace", Who.ADMINS, background.WorkspaceBudget
    ),
    "PUT /workspaces/{workspace_id}/budget": _row(
        "Set the budget of a workspace", Who.ADMINS, background.WorkspaceBudget
    ),
    "GET /workspaces/{workspace_id}/users": _row(
        "List the users of a workspace", Who.ADMINS, o.Listing[o.User]
    ),
    "POST /workspaces/{workspace_id}/users": _row(
        "Let a user into a workspace", Who.OWNERS, o.User, 201
    ),
    "DELETE /workspaces/{workspace_id}/users/{user_id}": _row(
        "Take a user out of a workspace", Who.ADMINS, o.User
    ),
}
_DATASETS: Final = {
    "GET /me/datasets": _row("List one's datasets", Who.USERS, o.Listing[o.Dataset]),
    "POST /datasets": _row("Create a dataset", Who.ADMINS, o.Dataset, 201),
    "GET /datasets/{dataset_id}": _row("Get a dataset", Who.MEMBERS, o.Dataset),
    "PATCH /datasets/{dataset_id}": _row("Change a dataset", Who.ADMINS, o.Dataset),
    "DELETE /datasets/{dataset_id}": _row("Delete a dataset", Who.ADMINS, o.Dataset),
    "PUT /datasets/{dataset_id}/publish": _row("Publish a dataset", Who.ADMINS, o.Dataset),
}
_FIELDS: Final = {
    "GET /datasets/{dataset_id}/fields": _row("List fields", Who.MEMBERS, o.Listing[o.Field]),
    "POST /datasets/{dataset_id}/fields": _row("Create a field", Who.ADMINS, o.Field, 201),
    "GET /fields/{field_id}": _row("Get a field", Who.MEMBERS, o.Field),
    "PATCH /fields/{field_id}": _row("Change a field", Who.ADMINS, o.Field),
    "DELETE /fields/{field_id}": _row("Delete a field", Who.ADMINS, o.Field),
}
_QUESTIONS: Final = {
    "GET /datasets/{dataset_id}/questions": _row(
        "List questions", Who.MEMBERS, o.Listing[o.Question]
    ),
    "POST /datasets/{dataset_id}/questions": _row("Create a question", Who.ADMINS, o.Question, 201),
    "GET /questions/{question_id}": _row("Get a question", Who.MEMBERS, o.Question),
    "PATCH /questions/{question_id}": _row("Change a question", Who.ADMINS, o.Question),
    "DELETE /questions/{question_id}": _row("Delete a question", Who.ADMINS, o.Question),
}
_PROPERTIES: Final = {
    "GET /me/datasets/{dataset_id}/metadata-properties": _row(
        "List the metadata properties one may see", Who.MEMBERS, o.Listing[o.MetadataProperty]
    ),
    "POST /datasets/{dataset_id}/metadata-properties": _row(
        "Create a metadata property", Who.ADMINS, o.MetadataProperty, 201
    ),
    "GET /metadata-properties/{metadata_property_id}": _row(
        "Get a metadata property", Who.MEMBERS, o.MetadataProperty
    ),
    "PATCH /metadata-properties/{metadata_property_id}": _row(
        "Change a metadata property", Who.ADMINS, o.MetadataProperty
    ),
    "DELETE /metadata-properties/{metadata_property_id}": _row(
        "Delete a metadata property", Who.ADMINS, o.MetadataProperty
    ),
    "GET /metadata-properties/{metadata_property_id}/metrics": _row(
        "Which values occur", Who.MEMBERS, o.PropertyMetrics
    ),
}
_VECTORS: Final = {
    "GET /datasets/{dataset_id}/vectors-settings": _row(
        "List vector settings", Who.MEMBERS, o.Listing[o.VectorSettings]
    ),
    "POST /datasets/{dataset_id}/vectors-settings": _row(
        "Create vector settings", Who.ADMINS, o.VectorSettings, 201
    ),
    "GET /vectors-settings/{vector_settings_id}": _row(
        "Get vector settings", Who.MEMBERS, o.VectorSettings
    ),
    "PATCH /vectors-settings/{vector_settings_id}": _row(
        "Change vector settings", Who.ADMINS, o.VectorSettings
    ),
    "DELETE /vectors-settings/{vector_settings_id}": _row(
        "Delete vector settings", Who.ADMINS, o.VectorSettings
    ),
}
_RECORDS: Final = {
    "GET /datasets/{dataset_id}/records": _row("List records", Who.REVIEWERS, o.RecordPage),
    "GET /datasets/{dataset_id}/export.jsonl": _row(
        "Export all records as JSON Lines",
        Who.ADMINS,
        str,
        media="application/x-ndjson",
    ),
    "DELETE /datasets/{dataset_id}/records": _row("Delete records", Who.ADMINS, None, 204),
    "POST /datasets/{dataset_id}/records/bulk": _row(
        "Create records", Who.ADMINS, o.Listing[o.Record], 201
    ),
    "PUT /datasets/{dataset_id}/records/bulk": _row(
        "Create or update records", Who.ADMINS, o.UpsertedRecords
    ),
    "GET /records/{record_id}": _row("Get a record", Who.MEMBERS, o.Record),
    "PATCH /records/{record_id}": _row("Change a record", Who.ADMINS, o.Record),
    "DELETE /records/{record_id}": _row("Delete a record", Who.ADMINS, o.Record),
}
_SEARCH: Final = {
    "POST /datasets/{dataset_id}/records/search": _row(
        "Search records", Who.REVIEWERS, o.Page[o.SearchHit]
    ),
    "POST /me/datasets/{dataset_id}/records/search": _row(
        "Search records as an annotator", Who.MEMBERS, o.Page[o.SearchHit]
    ),
    "GET /datasets/{dataset_id}/records/search/suggestions/options": _row(
        "Agents to filter by", Who.MEMBERS, o.Listing[o.SuggestionAgents]
    ),
}
_SUGGESTIONS: Final = {
    "GET /records/{record_id}/suggestions": _row(
        "List the suggestions of a record", Who.MEMBERS, o.Listing[o.Suggestion]
    ),
    "PUT /records/{record_id}/suggestions": _row(
        "Create or replace a suggestion", Who.ADMINS, o.Suggestion, 200, 201
    ),
    "DELETE /records/{record_id}/suggestions": _row("Delete suggestions", Who.ADMINS, None, 204),
    "DELETE /suggestions/{suggestion_id}": _row("Delete a suggestion", Who.ADMINS, o.Suggestion),
}
_RESPONSES: Final = {
    "POST /records/{record_id}/responses": _row(
        "Answer a record", Who.MEMBERS, o.GivenResponse, 201
    ),
    "PUT /responses/{response_id}": _row("Replace an answer", Who.AUTHORS, o.Response),
    "DELETE /responses/{response_id}": _row("Delete an answer", Who.AUTHORS, o.Response),
    "GET /records/{record_id}/adjudication": _row(
        "Read a reviewer's decision on a record", Who.REVIEWERS, o.Adjudication
    ),
    "PUT /records/{record_id}/adjudication": _row(
        "Decide on a record, in place of an earlier decision", Who.REVIEWERS, o.Adjudication
    ),
    "POST /me/responses/bulk": _row(
        "Answer several records", Who.USERS, o.Listing[o.ResponseResult]
    ),
}
_QUEUE: Final = {
    "POST /me/datasets/{dataset_id}/claim": _row(
        "Claim the next records", Who.MEMBERS, o.Listing[o.ClaimedRecord]
    ),
    "PUT /me/records/{record_id}/lease": _row("Keep a claimed record longer", Who.MEMBERS, o.Lease),
    "DELETE /me/records/{record_id}/lease": _row(
        "Give a claimed record back", Who.MEMBERS, None, 204
    ),
}
_PROGRESS: Final = {
    "GET /datasets/{dataset_id}/progress": _row("Progress of a dataset", Who.MEMBERS, o.Progress),
    "GET /datasets/{dataset_id}/users/progress": _row(
        "Progress by person", Who.MEMBERS, o.UsersProgress
    ),
    "GET /me/datasets/{dataset_id}/metrics": _row(
        "The caller's own progress", Who.MEMBERS, o.MyMetrics
    ),
    "GET /datasets/{dataset_id}/quotas": _row("Quotas by person", Who.ADMINS, o.DatasetQuotas),
    "PUT /datasets/{dataset_id}/users/{user_id}/quotas": _row(
        "Set a person's quotas", Who.ADMINS, o.Quotas
    ),
}
_JOBS: Final = {
    "GET /jobs/{job}": _row(
        "How a job is doing", Who.ANY_ADMINS, background.JobReport | background.JobStatus
    ),
    "GET /jobs/{job}/rejects": _row(
        "What a job left out", Who.ADMINS, o.Page[background.JobReject]
    ),
    "POST /datasets/{dataset_id}/import": _row(
        "Import from the Hugging Face Hub", Who.ADMINS, background.JobReport, 202
    ),
    "POST /datasets/{dataset_id}/export": _row(
        "Export to the Hugging Face Hub", Who.ADMINS, background.JobReport, 202
    ),
    "GET /datasets/{dataset_id}/jobs": _row(
        "List jobs", Who.ADMINS, o.Listing[background.DatasetJob]
    ),
    "POST /datasets/{dataset_id}/jobs": _row("Start a job", Who.ADMINS, prompts.StartedJob, 202),
    **prompts.JOBS,
    "GET /datasets/{dataset_id}/jobs/{job_id}": _row(
        "Get a job", Who.ADMINS, background.DatasetJob
    ),
    "GET /datasets/{dataset_id}/jobs/{job_id}/budget": _row(
        "Get the budget of a job", Who.ADMINS, background.JobBudget
    ),
    "PUT /datasets/{dataset_id}/jobs/{job_id}/budget": _row(
        "Set the budget of a job", Who.ADMINS, background.JobBudget
    ),
    **{
        f"POST /datasets/{{dataset_id}}/jobs/{{job_id}}/{action}": _row(
            summary, Who.ADMINS, background.DatasetJob
        )
        for action, summary in {
            "cancel": "Cancel a job",
            "pause": "Pause a job",
            "resume": "Resume a job",
            "retry": "Retry what failed in a job",
        }.items()
    },
    "GET /questions/{question_id}/suggester": _row(
        "How a question's suggester is set", Who.MEMBERS, background.Suggester
    ),
    "PUT /questions/{question_id}/suggester": _row(
        "Turn suggestions while people label on or off", Who.ADMINS, background.Suggester
    ),
}
_PROVIDERS: Final = {
    "GET /llm/providers": _row(
        "List the providers of language models", Who.ANY_ADMINS, o.Listing[background.LlmProvider]
    ),
    "POST /llm/providers": _row("Create a provider", Who.OWNERS, background.LlmProvider, 201),
    "GET /llm/providers/{llm_provider_id}": _row(
        "Get a provider", Who.ANY_ADMINS, background.LlmProvider
    ),
    "PATCH /llm/providers/{llm_provider_id}": _row(
        "Change a provider", Who.OWNERS, background.LlmProvider
    ),
    "DELETE /llm/providers/{llm_provider_id}": _row(
        "Delete a provider", Who.OWNERS, background.LlmProvider
    ),
    "POST /llm/providers/{llm_provider_id}/test": _row(
        "Try a provider out with one tiny call", Who.OWNERS, background.LlmProbe
    ),
}
_WEBHOOKS: Final = {
    "GET /webhooks": _row("List webhooks", Who.OWNERS, o.Listing[background.Webhook]),
    "POST /webhooks": _row("Create a webhook", Who.OWNERS, background.Webhook, 201),
    "PATCH /webhooks/{webhook_id}": _row("Change a webhook", Who.OWNERS, background.Webhook),
    "DELETE /webhooks/{webhook_id}": _row("Delete a webhook", Who.OWNERS, background.Webhook),
    "POST /webhooks/{webhook_id}/ping": _row("Send a webhook a ping", Who.OWNERS, None, 204),
    "POST /webhooks/{webhook_id}/rotate-secret": _row(
        "Make a new secret", Who.OWNERS, background.Webhook
    ),
    "GET /webhooks/{webhook_id}/deliveries": _row(
        "List messages to a webhook", Who.OWNERS, o.Page[background.WebhookDelivery]
    ),
    "POST /webhooks/{webhook_id}/deliveries/{delivery_id}/resend": _row(
        "Send a message again", Who.OWNERS, background.WebhookDelivery, 202
    ),
}

SECTIONS: Final[Mapping[str, Mapping[str, Operation]]] = {
    "Keys and tokens": _KEYS,
    "Users": _PEOPLE,
    "Workspaces": _WORKSPACES,
    "Datasets": _DATASETS,
    "Fields": _FIELDS,
    "Questions": _QUESTIONS,
    "Metadata properties": _PROPERTIES,
    "Vector settings": _VECTORS,
    "Records": _RECORDS,
    "Generated records": drafts.DRAFTS,
    "Search": _SEARCH,
    "Suggestions": _SUGGESTIONS,
    "Prompts": prompts.PROMPTS,
    "Responses": _RESPONSES,
    "Queue": _QUEUE,
    "Progress": _PROGRESS,
    "Jobs": _JOBS,
    "Evaluations": measures.EVALUATIONS,
    "Monitoring": measures.MONITORING,
    "Language models": _PROVIDERS,
    "Webhooks": _WEBHOOKS,
    "Server": _HERE,
}
