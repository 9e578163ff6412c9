"""`python -m rnnlab`."""

from rnnlab.cli.main import main

if __name__ == "__main__":
    main()
