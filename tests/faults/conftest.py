"""Faults are made with the real program, in a data folder of its own."""

from tests.cli.conftest import alone

__all__ = ["alone"]
