"""IAM documents as pure functions, and the evaluator that judges them."""
