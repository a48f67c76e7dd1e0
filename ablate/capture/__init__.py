"""A person's training script, run up to its `fit` calls; what it hands to them.

`python -m ablate.capture` is the process that runs it: whatever the script does there (exit, draw
plots, end the process) cannot touch whoever asked. `ablate.scripts` asks, and reads what was
captured.
"""
