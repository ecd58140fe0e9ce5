"""What an operator may say about how a page looks."""

import pytest

from wr.model.branding import check_addresses
from wr.model.refusals import InvalidRequest


@pytest.mark.parametrize(
    ("logo", "support"),
    [
        ("", ""),
        ("https://cdn.example/logo.svg?v=1#x", "mailto:help@example.com"),
        ("http://localhost:8080/a.png", "tel:+49-30-1234"),
        ("https://user@cdn.example/a.png", "https://help.example/"),
    ],
)
def test_addresses_that_a_page_may_carry_are_taken(logo: str, support: str) -> None:
    check_addresses(logo, support)


@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "data:image/png;base64,AAAA",
        "//cdn.example/a.png",
        "/a.png",
        "https://",
        "https://[",
        "https://例え.jp/logo.png",
        "https://a,b.example/logo.png",
        "https://cdn.example:0/",
        "https://cdn.example/a b",
        "https://cdn.example/;script-src *",
        "https://cdn.example/'\"><script>",
        "https://cdn.example/\n",
        "ftp://cdn.example/a",
    ],
)
@pytest.mark.parametrize("field", ["logo_url", "support_url"])
def test_any_other_is_refused_with_the_name_of_its_field(address: str, field: str) -> None:
    given = {"logo_url": "", "support_url": "", field: address}
    with pytest.raises(InvalidRequest) as refused:
        check_addresses(given["logo_url"], given["support_url"])
    assert refused.value.details == {"field": field}
