"""Hashed static files whose module imports are rewritten to the hashed names."""

from whitenoise.storage import CompressedManifestStaticFilesStorage


class ManifestStorage(CompressedManifestStaticFilesStorage):  # type: ignore[misc]
    """Rewrites ``import './x.js'`` too, so no import map (and no nonce) is needed."""

    support_js_module_import_aggregation = True
