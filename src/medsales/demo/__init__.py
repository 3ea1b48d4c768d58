"""The main job on real input: real devices and hospitals, two simulated years, and the story."""

from medsales.demo.run import run

__all__ = ["run"]
