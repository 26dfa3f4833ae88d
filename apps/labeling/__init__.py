"""The labelling pages: log-in, my work, datasets, the annotate page.

Views are plain Django; a page works as plain forms, and JavaScript makes it fast.

- ``http.for_members`` runs a view inside the organization of the session, rendering included.
- A form posts and is answered with the next record: a redirect for a browser, the fragment
  ``_work.html`` for a script (``HX-Request``). What is wrong comes back as the same form with
  status 422; every failed save leaves the form on the screen as it was.
- The idempotency key of an answer is made of the form's key and its content, so the same answer
  sent twice is one, and an edited one is never taken for the first.
- A suggestion is never a ticked answer: somebody takes it, with ``Y`` or by hand.
- A page names the hold it had when it lets go, so that a reload keeps the record.
"""
