"""`python -m medsales`."""

from medsales.cli import main

if __name__ == "__main__":
    main()
