"""Where somebody who was let in is sent."""

import pytest

from wr.model.entry_url import entry_url


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("https://shop.example", "https://shop.example/?wr_token=t.t-t_t"),
        ("https://shop.example/a?b=c%20d+e&f", "https://shop.example/a?b=c%20d+e&f&wr_token=t.t-t_t"),
        ("https://shop.example/a#seats", "https://shop.example/a?wr_token=t.t-t_t#seats"),
        ("https://shop.example/?wr_token=old&a=1", "https://shop.example/?a=1&wr_token=t.t-t_t"),
        ("https://user:pass@shop.example:8443/", "https://user:pass@shop.example:8443/?wr_token=t.t-t_t"),
        ("https://[::1]:8443/x", "https://[::1]:8443/x?wr_token=t.t-t_t"),
        ("https://BÜCHER.example:8443/", "https://xn--bcher-kva.example:8443/?wr_token=t.t-t_t"),
        ("https://shop.example/?flag&sig=a~b", "https://shop.example/?flag&sig=a~b&wr_token=t.t-t_t"),
        ("https://bücher.example/größe", "https://xn--bcher-kva.example/gr%C3%B6%C3%9Fe?wr_token=t.t-t_t"),
    ],
)
def test_the_token_is_added_and_the_rest_stays(target: str, expected: str) -> None:
    assert entry_url(target, "t.t-t_t") == expected
    assert entry_url(target, "t.t-t_t").isascii()
