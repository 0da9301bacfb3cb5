"""A Pulumi project of its own: what an AWS account needs once. Imports the application's model and policies only."""
