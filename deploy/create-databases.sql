-- Beside the one that POSTGRES_DB names.
CREATE DATABASE mlflow;
