"""Training scripts as studies: run up to their `fit` call in a process of their own, once.

The light half: it starts that process (`ablate.capture`), reads what was captured, and makes the
document of a study of it.
"""
