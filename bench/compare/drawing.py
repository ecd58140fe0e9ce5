"""Draws all figures with a target in one picture, each as a multiple of its target."""

from collections.abc import Sequence
from html import escape
from pathlib import Path

from bench.compare.figures import Row
from bench.compare.report import Report

_LABELS, _BARS, _ROW = 400, 420, 34
_MOST = 3.0
"""Multiple at which a bar is cut off, so that one large value does not make all others tiny."""
_COLOURS = {True: "#2a7d4f", False: "#b3261e", None: "#4a6fa5"}
_PEER = "#c9c4b8"


def write_drawing(report: Report, file: Path) -> None:
    """Write the drawing as SVG. Replaces an existing file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(make_drawing(report.rows), encoding="utf-8")


def make_drawing(rows: Sequence[Row]) -> str:
    """Draw the measured values, and the peer's below them, as SVG. Longer is better."""
    judged = [row for row in rows if _multiple(row, row.median) is not None]
    height = len(judged) * _ROW + 46
    width = _LABELS + _BARS + 110
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-size="12" '
        'font-family="system-ui, sans-serif" role="img">',
        "<title>Each figure as a multiple of what it must reach</title>",
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
    ]
    for number, row in enumerate(judged):
        parts += _bars(row, 8 + number * _ROW)
    line = _LABELS + _BARS / _MOST
    bottom = height - 38
    parts += (
        f'<line x1="{line:.0f}" x2="{line:.0f}" y1="2" y2="{bottom}" stroke="#1d2330" '
        'stroke-dasharray="3 3"/>',
        f'<text x="{line:.0f}" y="{height - 22}" text-anchor="middle" fill="#1d2330">must be</text>',
        f'<text x="{_LABELS}" y="{height - 6}" fill="#6b7285">longer is better; grey: the peer</text>',
        "</svg>\n",
    )
    return "\n".join(parts)


def _bars(row: Row, top: int) -> list[str]:
    parts = [
        f'<text x="{_LABELS - 8}" y="{top + 13}" text-anchor="end" fill="#1d2330">{escape(row.label)}</text>'
    ]
    measured = _multiple(row, row.median) or 0.0
    length = min(measured, _MOST) / _MOST * _BARS
    said = f"{row.spell(row.median)} {row.unit}".strip()
    colour = _COLOURS[row.is_met]
    parts.append(
        f'<rect x="{_LABELS}" y="{top}" width="{length:.1f}" height="16" rx="2" fill="{colour}"/>'
        f'<text x="{_LABELS + length + 6:.1f}" y="{top + 13}" fill="#1d2330">{escape(said)}</text>'
    )
    if row.peer:
        peer = min(_multiple(row, row.peer[-1]) or 0.0, _MOST) / _MOST * _BARS
        parts.append(
            f'<rect x="{_LABELS}" y="{top + 18}" width="{peer:.1f}" height="6" rx="2" fill="{_PEER}"/>'
        )
    return parts


def _multiple(row: Row, value: float) -> float | None:
    """Return the value as a multiple of its target; None if it has two bounds, no bound, or is 0."""
    if row.at_least is not None and row.at_most is None:
        return value / row.at_least if row.at_least else None
    if row.at_most is not None and row.at_least is None:
        return row.at_most / value if value else None
    return None
