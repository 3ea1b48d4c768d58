"""Faults are made with the real program, in a data folder of its own.

Two more have tests beside what they are about: a projection handler that raises, in
tests/engine/test_parking.py, and a rebuild killed half-way, in tests/engine/test_rebuild.py.
"""

from tests.cli.conftest import alone

__all__ = ["alone"]
