"""A queue's own colors are readable, whatever they are."""

import re

from hypothesis import given
from hypothesis import strategies as st

from wr.web.colors import SHAPE_CONTRAST, TEXT_CONTRAST, brand_style, contrast, readable_on

colors = st.integers(0, 0xFFFFFF).map(lambda number: f"#{number:06x}")


def test_contrast_is_what_wcag_says_it_is() -> None:
    assert round(contrast("#000000", "#ffffff"), 2) == 21
    assert round(contrast("#777777", "#ffffff"), 2) == 4.48
    assert contrast("#123456", "#123456") == 1


@given(colors)
def test_what_is_written_on_a_color_can_be_read(ground: str) -> None:
    assert contrast(readable_on(ground), ground) >= TEXT_CONTRAST


@given(colors, colors)
def test_a_queues_colors_leave_every_text_and_shape_readable(accent: str, ground: str) -> None:
    style = dict(re.findall(r"--([\w-]+):(#[0-9a-f]{6})", brand_style(accent, ground)))
    assert (style["accent"], style["ground"], style["panel"]) == (accent, ground, ground)
    assert contrast(style["on-accent"], style["accent"]) >= TEXT_CONTRAST
    assert contrast(style["ink"], ground) >= TEXT_CONTRAST
    assert contrast(style["quiet"], ground) >= TEXT_CONTRAST
    assert contrast(style["line"], ground) >= SHAPE_CONTRAST


@given(colors)
def test_a_ground_alone_gets_an_accent_that_stands_out_from_it(ground: str) -> None:
    style = dict(re.findall(r"--([\w-]+):(#[0-9a-f]{6})", brand_style("", ground)))
    assert contrast(style["accent"], ground) >= SHAPE_CONTRAST
    assert contrast(style["on-accent"], style["accent"]) >= TEXT_CONTRAST


def test_without_colors_there_is_no_style() -> None:
    assert brand_style("", "") == ""
