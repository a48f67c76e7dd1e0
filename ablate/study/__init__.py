"""Studies as values: what a study file says, its trials, and what came of them."""
