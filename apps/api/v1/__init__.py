"""Version 1: one module a resource, each with its schemas, views and ``urlpatterns``."""
