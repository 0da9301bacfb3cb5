"""A separate Pulumi project: what an AWS account needs once. It imports only the application's pure parts."""
