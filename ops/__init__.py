"""The operator's command line, `python -m ops`: for incidents, migrations and reviews, on boto3."""
