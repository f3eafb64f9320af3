"""One self-contained HTML page: text, tables, figures; no network, no scripts."""

from __future__ import annotations

import base64
import html
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from math import floor, inf, isfinite, log10
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..saving import atomic

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
<header>
<div class="kicker">{kicker}</div>
<h1>{title}</h1>
{lead}</header>
{nav}{body}
<footer>{foot}</footer>
</main>
</body>
</html>
"""


class Report:
    """A page that is built from top to bottom; every method gives the report back, so that calls can be chained.

    Args:
        title: of the page.
        kicker: the small line above it.
        lead: one or two sentences below it.
        foot: the last line.
    """

    def __init__(self, title: str, kicker: str = "Adlayer report", lead: str = "", foot: str = ""):
        self.title, self.kicker, self.lead, self.foot = title, kicker, lead, foot
        self._body: list[str] = []
        self._sections: list[tuple[str, str]] = []

    def section(self, title: str, text: str = "") -> Report:
        """A new section, listed at the top."""
        anchor = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or "section"
        if any(a == anchor for a, _ in self._sections):
            anchor += f"-{len(self._sections)}"
        self._sections.append((anchor, title))
        self._body.append(f'<h2 id="{anchor}">{_inline(title)}</h2>')
        return self.text(text) if text else self

    def heading(self, title: str) -> Report:
        """A heading within a section."""
        return self._add(f"<h3>{_inline(title)}</h3>")

    def text(self, text: str) -> Report:
        """Paragraphs, parted by empty lines; ``*emphasis*``, ``**strong**`` and ``` `code` ``` are understood."""
        return self._add("".join(f"<p>{_inline(p)}</p>" for p in re.split(r"\n\s*\n", text.strip()) if p))

    def warning(self, text: str) -> Report:
        """Something the reader must not miss."""
        return self._add(f'<div class="warning">{_inline(text)}</div>')

    def facts(self, facts: Mapping[str, Any]) -> Report:
        """A row of numbers with what they are: ``{"force error (meV/Å)": 34}``."""
        cells = (f"<div><b>{_inline(_cell(v))}</b><small>{_inline(k)}</small></div>" for k, v in facts.items())
        return self._add(f'<div class="facts">{"".join(cells)}</div>')

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[Any]], caption: str = "") -> Report:
        """A table. Floats are written to four digits; a row of a single entry heads a group of rows."""
        rows = [list(r) for r in rows]
        words = [k > 0 and any(isinstance(r[k], str) for r in rows if len(r) > k) for k in range(len(columns))]
        words = [w and not _numbers(r[k] for r in rows if len(r) > k) for k, w in enumerate(words)]

        def line(tag: str, cells: Sequence[Any]) -> str:
            marks = (' class="words"' if w else "" for w in words)
            return "<tr>" + "".join(f"<{tag}{m}>{_inline(_cell(c))}</{tag}>" for c, m in zip(cells, marks)) + "</tr>"

        def row(cells: list) -> str:
            if len(cells) == 1 < len(columns):
                return f'<tr><td class="group" colspan="{len(columns)}">{_inline(_cell(cells[0]))}</td></tr>'
            return line("td", cells)

        head = f"<caption>{_inline(caption)}</caption>" if caption else ""
        body = "".join(row(r) for r in rows)
        columns = line("th", columns)
        return self._add(
            f'<div class="scroll"><table>{head}<thead>{columns}</thead><tbody>{body}</tbody></table></div>'
        )

    def figure(self, figure: Figure, caption: str = "", photo: bool = False, dpi: int = 160) -> Report:
        """A matplotlib figure, as PNG inside the page; a dark page inverts its colors unless it is a ``photo``."""
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=dpi, transparent=not photo, metadata={"Software": None})
        data = base64.b64encode(buffer.getvalue()).decode()
        width = figure.get_figwidth() * 96
        said = f"<figcaption>{_inline(caption)}</figcaption>" if caption else ""
        alt = html.escape(re.sub(r"[*`]", "", caption), quote=True)
        kind = ' class="photo"' if photo else ""
        image = f'<img style="max-width:{width:.0f}px" alt="{alt}" src="data:image/png;base64,{data}">'
        return self._add(f"<figure{kind}>{image}{said}</figure>")

    def code(self, text: str, title: str = "") -> Report:
        """Text as it is; folded away under a title, if it has one."""
        block = f"<pre>{html.escape(text.strip())}</pre>"
        return self._add(f"<details><summary>{_inline(title)}</summary>{block}</details>" if title else block)

    def html(self) -> str:
        """The whole page."""
        links = "".join(f'<a href="#{anchor}">{_inline(title)}</a>' for anchor, title in self._sections)
        return _PAGE.format(
            title=html.escape(self.title),
            style=files(__package__).joinpath("page.css").read_text(encoding="utf-8"),
            kicker=_inline(self.kicker),
            lead=f'<p class="lead">{_inline(self.lead)}</p>\n' if self.lead else "",
            nav=f"<nav>{links}</nav>\n" if len(self._sections) > 2 else "",
            body="\n".join(self._body),
            foot=_inline(self.foot),
        )

    def write(self, path: str | Path) -> Path:
        """Write the page, whole or not at all."""
        with atomic(path) as temporary:
            temporary.write_text(self.html(), encoding="utf-8")
        return Path(path)

    def _add(self, piece: str) -> Report:
        self._body.append(piece)
        return self


def _inline(text: str) -> str:
    """Escaped text with ``**strong**``, ``*emphasis*`` and ``` `code` ```."""
    text = html.escape(str(text), quote=False)
    text = re.sub(r"`([^`]+)`", r"<code>\1</code>", text)
    text = re.sub(r"\*\*([^*\s](?:[^*]*[^*\s])?)\*\*", r"<strong>\1</strong>", text)
    return re.sub(r"(?<![\w*])\*([^*\s](?:[^*]*[^*\s])?)\*(?![\w*])", r"<em>\1</em>", text)


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and value != value):
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if hasattr(value, "item") and getattr(value, "ndim", 1) == 0:
        value = value.item()
    if isinstance(value, float):
        return number(value).replace("-", "−")
    return str(value)


def number(value: float, std: float | None = None) -> str:
    """Four significant digits, and of large numbers, such as total energies, three decimals; with a standard deviation
    as many decimals as two significant digits of it have.
    """
    if std is not None and 0 < std < inf and isfinite(value):
        decimals = max(1 - floor(log10(std)), 0)
        if decimals <= 8:
            return f"{value:.{decimals}f} ± {std:.{decimals}f}"
    if std is not None:
        return f"{number(value)} ± {std:.2g}"
    if value == 0 or 1e-4 <= abs(value) < 1e3:
        return f"{value:.4g}"
    if value % 1 == 0:
        return f"{value:.0f}"
    return f"{value:.3f}" if 1e3 <= abs(value) < 1e7 else f"{value:.3e}"


def _numbers(cells: Iterable[Any]) -> bool:
    """Whether texts in a column look like numbers, which are set to the right."""
    return all(not isinstance(c, str) or re.match(r"^[\s−+<>≈~±–-]*[\d.]|^[–-]?$", c) for c in cells)
