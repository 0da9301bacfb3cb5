"""`ops rotate` for a value that a server checks, too: server and secret get the new one, in an order that locks nobody out."""
