"""`python -m ablate` is the `ablate` command.

Until its modules are imported nobody else answers Ctrl-C, which is why `main` is here.
"""

import signal
import sys


def main() -> None:
    """Run the command line; a request to end is heard from the first moment on."""
    try:
        # Schedulers ask with SIGTERM: what is finished is kept as after Ctrl-C.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        from ablate.cli import main as run

        run()
    except KeyboardInterrupt:
        sys.stderr.write("Stopped before anything was begun. Run the same command again.\n")
        sys.exit(130)


if __name__ == "__main__":
    main()
