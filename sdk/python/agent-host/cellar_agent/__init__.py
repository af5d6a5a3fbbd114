"""The parts of the agent host for Python (../README.md)."""
