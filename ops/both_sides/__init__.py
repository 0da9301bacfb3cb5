"""`ops rotate` for a value that a server checks: it changes server and secret in an order that locks nobody out."""
