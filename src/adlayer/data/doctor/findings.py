"""What the doctor says: findings that name file, frames and remedy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "note"]
_ORDER = {"error": 0, "warning": 1, "note": 2}


@dataclass(frozen=True)
class Finding:
    """One thing that is, or may be, wrong with a data set.

    Args:
        severity: ``error`` (a fit to this is wrong), ``warning`` (probably), ``note`` (good to know).
        check: short name of the check that found it.
        file: where; empty if the data came from no file.
        frames: which frames of the file, counted from 0; empty if it concerns all.
        message: what was found, with the numbers it was judged by.
        remedy: what to do about it.
    """

    severity: Severity
    check: str
    file: str
    frames: tuple[int, ...]
    message: str
    remedy: str

    @property
    def where(self) -> str:
        """File and frames, short."""
        shown = ", ".join(map(str, self.frames[:6])) + (
            f" and {len(self.frames) - 6} more" if len(self.frames) > 6 else ""
        )
        frames = f"frame{'s' if len(self.frames) > 1 else ''} {shown}" if self.frames else "all frames"
        return f"{self.file}: {frames}" if self.file else frames

    def __str__(self) -> str:
        return f"{self.severity}: {self.message}\n  where:  {self.where}\n  remedy: {self.remedy}"


def render(findings: Sequence[Finding]) -> str:
    """All findings as text, the worst first."""
    if not findings:
        return "Nothing wrong was found."
    counts = {s: sum(f.severity == s for f in findings) for s in _ORDER}
    total = ", ".join(f"{n} {s}{'s' if n > 1 else ''}" for s, n in counts.items() if n)
    return "\n".join([*map(str, ranked(findings)), total])


def ranked(findings: Iterable[Finding]) -> list[Finding]:
    """The worst first, otherwise in order."""
    return sorted(findings, key=lambda f: _ORDER[f.severity])
