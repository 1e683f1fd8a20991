"""All rows, in the order of the table."""
from . import crash, cost, speed, node
from .table import ROWS

__all__ = ["ROWS", "crash", "cost", "speed", "node"]
