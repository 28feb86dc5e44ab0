"""What the flows share: Prefect's settings and server, the project for one at a time, copies of it, how they end."""
