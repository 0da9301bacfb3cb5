"""A local AWS and the Pulumi engine on it: `python -m sandbox`, for trying and testing without an AWS account."""
