"""What a person sees while a command works: a bar for each stage, or plain lines where there is no terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console as RichConsole
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

EVERY = 10.0  # seconds between plain lines


class Console:
    """Watches a job: ``with console.stage("Fit") as progress: progress(done, total, message)``."""

    def __init__(self, rich: RichConsole | None = None):
        self.rich = rich or RichConsole(stderr=True, highlight=False)

    @contextmanager
    def stage(self, title: str) -> Iterator[Callable[[int, int, str], None]]:
        """A stage begins; it ends with its time, or with a cross."""
        start = time.perf_counter()
        lines = self._bar(title) if self.rich.is_terminal else self._lines(title)
        try:
            with lines as progress:
                yield progress
        except BaseException:
            self.rich.print(f"[red]✗[/red] {title} [dim]after {_seconds(time.perf_counter() - start)}[/dim]")
            raise
        self.rich.print(f"[green]✓[/green] {title} [dim]{_seconds(time.perf_counter() - start)}[/dim]")

    def note(self, text: str) -> None:
        self.rich.print(f"  [dim]·[/dim] {text}")

    @contextmanager
    def _bar(self, title: str) -> Iterator[Callable[[int, int, str], None]]:
        columns = (
            SpinnerColumn(),
            TextColumn("{task.fields[title]}"),
            BarColumn(bar_width=28),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.description}[/dim]"),
        )
        with Progress(*columns, console=self.rich, transient=True) as bars:
            task = bars.add_task("", title=title, total=None)
            yield lambda done, total, message: bars.update(
                task, completed=done, total=total or None, description=_short(message)
            )

    @contextmanager
    def _lines(self, title: str) -> Iterator[Callable[[int, int, str], None]]:
        self.rich.print(f"… {title}")
        last = time.perf_counter()

        def progress(done: int, total: int, message: str) -> None:
            nonlocal last
            if time.perf_counter() - last >= EVERY:
                last = time.perf_counter()
                self.rich.print(f"  {title}: {done}/{total or '?'} {message}")

        yield progress


def _short(message: str, width: int = 60) -> str:
    return message if len(message) <= width else message[: width - 1] + "…"


def _seconds(t: float) -> str:
    return f"{t:.1f} s" if t < 90 else f"{int(t // 60)} min {int(t % 60)} s"
