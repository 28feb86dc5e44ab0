"""What all stages share: how one is run, watched, locked, stopped; and what flows start beside them."""
