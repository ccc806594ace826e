"""The rows of a trial, as a job gets them and as they are expected of it."""
