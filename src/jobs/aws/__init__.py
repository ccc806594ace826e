"""Secrets, parameters and tokens from AWS. Only this package uses boto3."""
