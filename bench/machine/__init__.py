"""What the measurements need of the machine."""
