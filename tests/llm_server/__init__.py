"""A scripted server of the OpenAI protocol, a process of its own: ``python -m tests.llm_server``.

It answers deterministically and in the schema that was asked for, counts tokens honestly, fails
as told, and keeps the ledger of what it billed: whoever pays twice for one request is found out.

Routes: ``/v1/models``, ``/v1/chat/completions``, ``/v1/embeddings``, ``/v1/files``,
``/v1/batches``; for tests ``PATCH /control/settings`` (``settings.Settings``), ``POST
/control/scripts`` (``scripts.Script``), ``POST /control/reset``, ``GET /ledger`` and ``GET
/ledger/calls``. ``controls.LlmServer`` is their client, ``fixtures.llm_server`` the fixture.
"""
