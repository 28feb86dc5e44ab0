-- The second database: POSTGRES_DB names the first.
CREATE DATABASE mlflow;
