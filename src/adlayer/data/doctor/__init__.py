"""What is wrong with a data set, found before it is fitted."""

from .examination import check
from .findings import Finding, render

__all__ = ["Finding", "check", "render"]
