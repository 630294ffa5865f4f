"""Recipes: the schema, the reader with its messages, and what connects a recipe to the components."""
