"""Export as a web page: a directory of static files that translates in the browser."""
