"""Derives readable colors from a queue's own colors, with the contrast that WCAG 2.2 requires."""

TEXT_CONTRAST = 4.5
"""Minimum contrast between text and its background (success criterion 1.4.3)."""
SHAPE_CONTRAST = 3.0
"""Minimum contrast between a control and its background (success criterion 1.4.11)."""
_WHITE, _BLACK = "#ffffff", "#000000"


def brand_style(accent: str, ground: str) -> str:
    """Return the style sheet for a queue's colors, each `#rrggbb` or empty. It is empty if both are empty.

    Colors that the operator did not choose, and colors that need contrast with them, are computed.
    """
    chosen: dict[str, str] = {}
    if accent:
        chosen |= {"accent": accent, "on-accent": readable_on(accent)}
    if ground:
        ink = readable_on(ground)
        chosen |= {
            "ground": ground,
            "panel": ground,
            "ink": ink,
            "quiet": _softened(ink, ground, TEXT_CONTRAST + 1),
            "line": _softened(ink, ground, SHAPE_CONTRAST + 0.5),
        }
        if not accent:
            chosen |= {"accent": ink, "on-accent": ground}
    if not chosen:
        return ""
    scheme = ("light" if readable_on(ground) == _BLACK else "dark") if ground else "light dark"
    rules = "".join(f"--{name}:{color};" for name, color in chosen.items())
    return f":root{{color-scheme:{scheme};{rules}}}"


def readable_on(ground: str) -> str:
    """Return black or white, whichever has more contrast. One of them always has at least 4.5."""
    return max((_BLACK, _WHITE), key=lambda ink: contrast(ink, ground))


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colors, from 1 to 21 (WCAG 2.2)."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _softened(ink: str, ground: str, least: float) -> str:
    """Mix as much of the background into the text color as the contrast `least` allows."""
    for share in (0.5, 0.4, 0.3, 0.2, 0.1):
        mixed = _mixed(ink, ground, share)
        if contrast(mixed, ground) >= least:
            return mixed
    return ink


def _mixed(one: str, other: str, share: float) -> str:
    parts = zip(_parts(one), _parts(other), strict=True)
    return "#" + "".join(f"{round(first * (1 - share) + second * share):02x}" for first, second in parts)


def _luminance(color: str) -> float:
    red, green, blue = (_linear(part / 255) for part in _parts(color))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4


def _parts(color: str) -> tuple[int, int, int]:
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)
