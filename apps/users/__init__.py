"""The person who logs in: one account, any number of organizations.

An account made for a member without e-mail has no address and logs in on the organization's
page with the member's username. What a person may do is a matter of their memberships.
"""
