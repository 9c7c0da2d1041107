"""What all rooms compute and write with."""
