"""The tenants: organizations, who belongs to them, their API keys and their record volume.

- A *membership* is what the API calls a user; its id is the wire id, its username is unique in
  the organization. Removing a member pseudonymises the membership; their answers stay.
- Few look-ups happen before the tenant is known: by API key, by the member of a bearer token, by
  slug, by account, and for the only organization. Each is one SECURITY DEFINER function that
  answers exactly that question (``directory.py``); nothing else reads across organizations.
- A key has scopes and may end; a bearer token (``tokens.py``) lasts a day, or until the password
  changes. A write named with a key of the caller's own is done once (``idempotency.py``).
"""
