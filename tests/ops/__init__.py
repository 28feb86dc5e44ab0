"""What takes servers, kills, outages and minutes: ``make test-ops``."""
