"""How good translations are: scores with their signatures, intervals and significance."""
