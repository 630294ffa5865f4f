"""The HTTP interface of the translation service."""
