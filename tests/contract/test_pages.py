"""Pages and their files: where they are, how long they may be kept, and what they may do."""

import gzip
import re

import httpx
import pytest

from tests.contract.conftest import Stranded
from tests.support import plain_http
from tests.support.site import Site, error_code
from wr.api.pages.routes import PAGE_ROUTES
from wr.web.assets import own_assets

pytestmark = pytest.mark.any_engine

PAGES = ["/", "/docs"]


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_html_that_is_asked_for_again_each_time_and_may_load_nothing_from_elsewhere(
    site: Site, path: str
) -> None:
    response = site.http.get(path)
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert response.headers["Cache-Control"] == "no-cache"
    policy = dict(
        part.strip().split(" ", 1) for part in response.headers["Content-Security-Policy"].split(";")
    )
    assert policy["default-src"] == "'none'"
    assert policy["frame-ancestors"] == "'none'"
    for directive, sources in policy.items():
        assert set(sources.split()) <= {"'none'", "'self'", "data:"}, directive
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert not re.findall(r"https?://|<style|<script>|\son\w+=|\sstyle=", response.text)


@pytest.mark.parametrize("path", PAGES)
def test_every_file_that_a_page_names_is_there(site: Site, path: str) -> None:
    named = re.findall(r'(?:src|href)="(/wr-assets/[^"]+)"', site.http.get(path).text)
    assert named
    for name in named:
        assert site.http.get(name).status_code == 200, name


@pytest.mark.parametrize("path", [*PAGES, "/wr-assets/swagger-ui-bundle.js"])
def test_who_has_a_page_or_file_already_is_told_so_without_it(site: Site, path: str) -> None:
    first = site.http.get(path)
    again = site.http.get(path, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert site.http.get(path, headers={"If-None-Match": '"other"'}).status_code == 200


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_served_while_the_store_is_away(stranded: Stranded, path: str) -> None:
    assert stranded.site.http.get(path).status_code == 200


def test_a_file_of_others_comes_as_it_was_fetched_and_compressed_for_those_who_take_that(site: Site) -> None:
    name = "swagger-ui-bundle.js"
    content = own_assets().find(name)
    assert content is not None
    plain = site.http.get(f"/wr-assets/{name}", headers={"Accept-Encoding": "identity"})
    assert "Content-Encoding" not in plain.headers
    assert plain.content == content.content
    with site.http.stream("GET", f"/wr-assets/{name}", headers={"Accept-Encoding": "gzip"}) as packed:
        raw = b"".join(packed.iter_raw())
    assert packed.headers["Content-Encoding"] == "gzip"
    assert len(raw) < len(content.content) / 3
    assert gzip.decompress(raw) == content.content


def test_a_file_asked_for_by_its_version_may_be_kept_for_ever(site: Site) -> None:
    versioned = site.http.get(own_assets().address("plain.css"))
    assert versioned.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert site.http.get("/wr-assets/plain.css?v=other").headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize(
    "name", ["none.css", "..%2F__init__.py", "%2e%2e%2fassets.py", "vendor.lock", ".fetched"]
)
def test_what_is_no_file_of_the_pages_is_not_found(site: Site, name: str) -> None:
    # httpx would tidy the path up; the server is to see it as it is.
    response = plain_http.get(httpx.URL(site.url).copy_with(raw_path=f"/wr-assets/{name}".encode()))
    assert response.status_code == 404
    assert error_code(response) == "NOT_FOUND"


def test_the_icon_is_where_browsers_look_for_it(site: Site) -> None:
    response = site.http.get("/favicon.ico")
    assert response.headers["Content-Type"] == "image/svg+xml"
    assert response.content == site.http.get("/wr-assets/icon.svg").content


def test_pages_are_not_part_of_the_description_of_the_api(site: Site) -> None:
    paths = site.http.get("/api/v1/openapi.json").json()["paths"]
    assert not {route.path for route in PAGE_ROUTES} & set(paths)
