"""What each model is worth: quality, significance, speed, and the report."""
