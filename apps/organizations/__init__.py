"""The tenants: organizations, who belongs to them, their API keys and their record volume.

- A *membership* is what the API calls a user; its id is the wire id, its username is unique in
  the organization. Removing a member pseudonymises the membership; their answers stay.
- Three look-ups happen before the tenant is known: by API key, by slug, by account. Each is one
  SECURITY DEFINER function that answers exactly that question (``directory.py``); nothing else
  reads across organizations.
"""
