import re

import numpy as np
import pytest

from adlayer.report import Report, figure
from adlayer.report.page import number
from adlayer.report.style import style


def plain(page: str) -> str:
    return re.sub(r"<[^>]+>", " ", page.partition("<body>")[2])


def test_a_page_needs_nothing_but_itself(tmp_path):
    with style():
        fig, ax = figure()
        ax.plot([1, 2])
    report = Report("Title", lead="Lead.").section("One").figure(fig, "A *caption*").section("Two").section("One")
    page = report.write(tmp_path / "sub" / "report.html").read_text()
    assert page == report.html()
    assert not re.search(r"https?:|src=\"(?!data:)|@import|url\(|<link", page)
    assert "<script" not in page
    assert page.count("data:image/png;base64,") == 1
    assert 'alt="A caption"' in page
    assert "prefers-color-scheme: dark" in page
    anchors, links = re.findall(r'<h2 id="([^"]+)"', page), re.findall(r'href="#([^"]+)"', page)
    assert anchors == links
    assert len(set(anchors)) == 3


def test_text_is_escaped_and_marked():
    page = Report("a < b & c").text("x <script> & **strong** *em* `code`\n\nnext 2*3*4").html()
    assert "<title>a &lt; b &amp; c</title>" in page
    assert "x &lt;script&gt; &amp; <strong>strong</strong> <em>em</em> <code>code</code></p><p>next 2*3*4</p>" in page
    assert "&lt;b&gt;" in Report("t").warning("<b>").code("<b>", "title").html()


def test_tables_write_numbers_as_people_read_them():
    rows = [
        ["group"],
        ["a", "eV", -1.23456, None],
        ["b", "GPa", np.float64(12345.678), float("nan")],
        ["c", "", 0.0, 3],
    ]
    page = Report("t").table(["what", "unit", "x", "y"], rows, "caption").html()
    assert '<td class="group" colspan="4">group</td>' in page
    assert "−1.235" in page
    assert "12345.678" in page
    assert plain(page).count("–") == 2
    assert page.count('class="words"') == 4  # the column of units, its head included
    assert '<td class="words">eV</td>' in page


def test_what_is_there_stays_when_a_page_cannot_be_written(tmp_path, monkeypatch):
    path = Report("old").write(tmp_path / "report.html")
    report = Report("new")
    monkeypatch.setattr(type(report), "html", lambda self: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        report.write(path)
    assert "<title>old</title>" in path.read_text()
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


@pytest.mark.parametrize(
    ("value", "std", "text"),
    [
        (0.4174, 0.12, "0.42 ± 0.12"),
        (1311.6, 15.2, "1312 ± 15"),
        (0.6798, 0.0028, "0.6798 ± 0.0028"),
        (0.9696, 0.0, "0.9696 ± 0"),
        (73.2, 250.0, "73 ± 250"),
        (1.5, None, "1.5"),
    ],
)
def test_a_value_has_the_decimals_of_its_error(value, std, text):
    assert number(value, std) == text
