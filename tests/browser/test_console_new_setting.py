"""A setting that no script of the console names: its definition on the server is enough."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.support.console import PATIENCE_MS, open_queue, said, setting, settings_of, shows
from tests.support.program_copy import DEFAULT, LABEL, NAME, ProgramCopy
from tests.support.site import Site


@pytest.fixture(scope="module")
def visited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server of the program with one more setting."""
    with ProgramCopy(tmp_path_factory.mktemp("copy")).serving() as server, server.site() as site:
        yield site


def test_a_new_setting_has_its_field_and_is_saved(page: Page, visited: Site) -> None:
    queue_id = visited.make_queue()
    open_queue(page, visited, queue_id)
    expect(page.get_by_label(LABEL)).to_have_value(str(DEFAULT), timeout=PATIENCE_MS)
    page.get_by_label(LABEL).fill("0")
    page.get_by_role("button", name="Save changes").click()
    shows(setting(page, LABEL), "It must be at least 1.")
    page.get_by_label(LABEL).fill("8")
    page.get_by_role("button", name="Save changes").click()
    shows(said(page), f"Saved. {LABEL} is now 8.")
    assert settings_of(visited, queue_id)[NAME] == 8
