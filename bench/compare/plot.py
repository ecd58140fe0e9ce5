"""Writes the report as a page: the table, and each figure as a bar next to its target and the peer's value.

One file that loads nothing else.
"""

from html import escape
from pathlib import Path

from bench.compare.figures import Row
from bench.compare.report import Report, peer_of, spread_of, verdict_of

_WIDTH = 520
_BAR = 16
_STYLE = """
:root { color-scheme: light; --met: #2a7d4f; --missed: #b3261e; --plain: #4a6fa5; --peer: #c9c4b8; }
body { font: 15px/1.5 system-ui, sans-serif; color: #1d2330; background: #fff; max-width: 74rem;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: 0; } h2 { font-size: 1.1rem; margin-top: 2rem; }
p, dl { color: #4b5365; } dt { float: left; clear: left; width: 8rem; } dd { margin-left: 8.5rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid #e4e6eb; vertical-align: top; }
td.number, th.number { text-align: right; white-space: nowrap; }
.met { color: var(--met); font-weight: 600; } .missed { color: var(--missed); font-weight: 600; }
.note { color: #6b7285; font-size: .85em; }
figure { margin: 0 0 1.1rem; } figcaption { margin-bottom: .15rem; }
svg { display: block; max-width: 100%; height: auto; }
svg text { font: 12px system-ui, sans-serif; fill: #1d2330; }
"""


def write_page(report: Report, file: Path) -> None:
    """Write the page. Replaces an existing file atomically."""
    file.parent.mkdir(parents=True, exist_ok=True)
    scratch = file.with_suffix(".new")
    scratch.write_text(make_page(report), encoding="utf-8")
    scratch.replace(file)


def make_page(report: Report) -> str:
    """Return the page."""
    judged = [row for row in report.rows if row.at_least is not None or row.at_most is not None]
    met = sum(row.is_met is True for row in judged)
    facts = {**report.machine, "pinning": report.pinning, "began": report.began_at}
    failures = "".join(
        f'<p class="missed">{escape(stage.name)} was not measured: {escape(stage.error)}</p>'
        for stage in report.failed
    )
    return "\n".join(
        (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            "<title>wr: saturation figures</title>",
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<style>{_STYLE}</style></head><body>",
            "<h1>wr: saturation figures</h1>",
            f"<p>{met} of {len(judged)} figures meet their target. Load generator, server and store "
            "share one machine, so that what counts is the ratios, measured side by side.</p>",
            failures,
            "<h2>Against what it must reach</h2>",
            *(_figure(row) for row in judged),
            "<h2>All figures</h2>",
            _table(report),
            "<h2>The machine</h2>",
            "<dl>"
            + "".join(f"<dt>{escape(name)}</dt><dd>{escape(fact)}</dd>" for name, fact in facts.items())
            + "</dl>",
            "</body></html>\n",
        )
    )


def _figure(row: Row) -> str:
    """Draw measured value, target and the peer's value as bars on one scale from 0."""
    bound = row.at_least if row.at_least is not None else row.at_most
    bars = [("measured", row.median, {True: "met", False: "missed", None: "plain"}[row.is_met])]
    if row.peer:
        bars.append(("peer", row.peer[-1], "peer"))
    longest = max(*(value for _, value, _ in bars), bound or 0, row.most) * 1.02 or 1
    scale = _WIDTH / longest
    height = len(bars) * (_BAR + 6) + 4
    parts = [f'<svg viewBox="0 0 {_WIDTH + 220} {height}" width="{_WIDTH + 220}" role="img">']
    for number, (name, value, colour) in enumerate(bars):
        top = 2 + number * (_BAR + 6)
        width = max(1.0, value * scale)
        parts.append(
            f'<rect x="70" y="{top}" width="{width:.1f}" height="{_BAR}" rx="2" fill="var(--{colour})"/>'
            f'<text x="0" y="{top + 12}">{name}</text>'
            f'<text x="{70 + width + 6:.1f}" y="{top + 12}">{escape(row.spell(value))}</text>'
        )
    for limit in {row.at_least, row.at_most} - {None}:
        at = 70 + (limit or 0) * scale
        parts.append(
            f'<line x1="{at:.1f}" x2="{at:.1f}" y1="0" y2="{height}" stroke="#1d2330" '
            'stroke-dasharray="3 3"/>'
        )
    parts.append("</svg>")
    caption = f"{escape(row.label)}: must be {escape(row.must)} {escape(row.unit)} {_verdict(row)}"
    return f"<figure><figcaption>{caption}</figcaption>{''.join(parts)}</figure>"


def _table(report: Report) -> str:
    names = ("figure", "measured", "unit", "lowest to highest", "must be", "peer", "", "note")
    numbers = {"measured", "lowest to highest", "must be", "peer"}
    head = "".join(f"<th{_number(name in numbers)}>{name}</th>" for name in names)
    lines = []
    for row in report.rows:
        cells = (row.label, row.spell(row.median), row.unit, spread_of(row), row.must, peer_of(row))
        spelled = "".join(
            f"<td{_number(name in numbers)}>{escape(cell)}</td>"
            for name, cell in zip(names, cells, strict=False)
        )
        lines.append(f'<tr>{spelled}<td>{_verdict(row)}</td><td class="note">{escape(row.note)}</td></tr>')
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def _number(is_number: bool) -> str:
    return ' class="number"' if is_number else ""


def _verdict(row: Row) -> str:
    word = verdict_of(row)
    return f'<span class="{word.lower()}">{word}</span>' if word else ""
