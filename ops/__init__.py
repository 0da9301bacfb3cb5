"""The operator's command line, `python -m ops`: what a night call, a migration and a monthly review need, over boto3."""
