"""Labels of a machine for texts without a label: what they are, where they come from, and what they are worth."""
