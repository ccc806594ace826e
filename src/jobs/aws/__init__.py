"""What AWS keeps or signs for a job: secrets, parameters and tokens. The only room with boto3."""
