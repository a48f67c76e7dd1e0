"""One thread for TensorFlow in the test process, before any test computes something.

Trials are planned with one thread, and a process that already runs with more refuses to train
them here: their last bits would differ.
"""

from ablate.quiet import quiet_start

with quiet_start():
    from ablate.training import configure

    configure(1)
