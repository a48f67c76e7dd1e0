"""One thread for TensorFlow in the test process, before any test computes something.

Trials are planned with one thread, and a process that already runs with more refuses to train
them here: their last bits would differ. Nothing is trained where Keras runs on another backend.
"""

import os
import signal

from ablate.suppress_stderr import quiet_start

if os.environ.get("KERAS_BACKEND", "tensorflow") == "tensorflow":
    with quiet_start():
        from ablate.training import configure

        configure(1)

# A shell without job control starts what is in its background deaf to Ctrl-C, and so would be every
# process that a test starts and then interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
