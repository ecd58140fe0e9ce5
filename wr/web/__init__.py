"""The HTML pages: waiting page, admin console and API reference, with their templates, scripts and texts."""
