"""When: one Prefect flow a file."""
