"""The flows, one Prefect flow or command each: they decide when the stages run."""
