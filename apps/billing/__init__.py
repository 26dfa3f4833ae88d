"""Plans, what they cost, and what an organization uses.

No other app can hold this: usage is read from records, answers and the ledger of models, which
``organizations`` may not know, and what a plan costs is no business of those who store records.

- Limits are not enforced here but where records are counted (``organizations.volume``), in the
  transaction of the insert. This app only sets them.
- Money is whole cents of ``plans.CURRENCY``. A term is invoiced at its beginning; a change of plan
  begins a new term at once, and pays for the unused days of the old one.
- Invoices are the truth; a *collector* (``collectors.py``) only gets them paid: by hand, or by
  Stripe. Numbers come from one counter of the host, held until the invoice is committed: no gaps.
- Usage is kept by a nightly snapshot, not by counters in each transaction: records are counted
  by dataset already, answers and the ledger can be counted by time from their keys, so a counter
  of a month would only add a row that every writer waits for.
- What is not paid, or too much for a smaller plan, ends in a grace and then in no new records.
  Answers are always saved, and nothing is ever deleted.
"""
