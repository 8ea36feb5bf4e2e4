"""The transforms that a map may name: small pure functions on the values of one attribute, one module for each subject.

Each has a documented domain. A value outside it is refused with a reason code (`UnmappableError`), never
bent to fit.
"""

from federation.transforms.base import Part, Readings, Step, Transform, UnmappableError, Values, day_in_japan
from federation.transforms.table import TRANSFORMS

__all__ = ["TRANSFORMS", "Part", "Readings", "Step", "Transform", "UnmappableError", "Values", "day_in_japan"]
