"""Recipes: the schema, the reader with its messages, and the connection of recipes to the components."""
