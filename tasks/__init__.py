"""One module a stage: what it does. ``dvc.yaml`` says what it depends on, ``flows/`` say when it runs."""
