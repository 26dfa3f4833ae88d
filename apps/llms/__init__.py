"""Providers of language models: any server that speaks the OpenAI protocol.

A *provider* is a base URL, a key and *models* with prices and limits. The key is sealed for its
organization and row, is never told again, and goes when the host changes. A call is a `Request`
(``wire.py``); ``client.complete`` makes it through the judged addresses of ``core.outbound``,
``limits.slot`` lets it through when its turn has come, ``calls.py`` looks it up in the cache first
and books what it cost. What servers differ in (how they are asked for JSON, what they call a limit)
is learned from their refusals and remembered with the model (``dialects.py``). Calls in no hurry
go as files, at a lower price (``batching.py``), until nobody wants them (``withdrawal.py``).

Jobs are not known here: what a call belongs to is a plain id.
"""
