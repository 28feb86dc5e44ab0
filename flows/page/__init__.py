"""The local page of ``stillhouse try``: what it answers, and its files in ``static/``."""
