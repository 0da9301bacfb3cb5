"""The configuration of one stack: read, checked and turned into frozen settings."""
