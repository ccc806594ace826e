"""Secrets, parameters and tokens from AWS. Only this package uses boto3.

`clients` makes the clients, and `endpoints` says whether a service can be reached. `credentials` are callables that
read a password or sign a token, `s3_objects` reads and writes single objects, and `errors` says what to do about a
refusal.
"""
