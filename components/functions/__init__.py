"""Code that runs in AWS Lambda; each folder is an archive's root."""
