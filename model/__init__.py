"""What exists and what it is called: pure data and functions that every other room may use."""
