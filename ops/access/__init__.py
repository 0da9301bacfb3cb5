"""`ops access`: gather what decides about the secrets, judge it, show it."""
