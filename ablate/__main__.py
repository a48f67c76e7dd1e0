"""`python -m ablate` is the `ablate` command."""

from ablate.cli import main

if __name__ == "__main__":
    main()
