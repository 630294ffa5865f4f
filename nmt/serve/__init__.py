"""The translation service: requests, the processes that translate them, and the HTTP interface."""
