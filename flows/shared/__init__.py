"""Code that the flows share: Prefect's settings and server, the project's lock, copies of the project, stopping."""
