"""The tasks that a recipe can name: translation and language modelling."""
