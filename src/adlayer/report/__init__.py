"""What a person reads: one self-contained HTML page per job."""

from .page import Report
from .style import figure

__all__ = ["Report", "figure"]
