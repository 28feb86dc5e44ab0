"""Evaluation of the models: quality, significance, speed, the gate and the report."""
