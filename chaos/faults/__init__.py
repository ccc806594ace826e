"""What breaks."""
