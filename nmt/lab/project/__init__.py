"""`nmt new`: directories with clean, split pairs and a recipe that fits them."""
