"""`ops access`: gather what decides about access to the secrets, judge it, show it."""
