"""Smaller faults, each seen from outside."""

import threading
import time

from tests.contract.gate import with_session
from tests.contract.helpers import enter, open_queue, wait_until
from tests.support.site import Site


def page_views(site: Site, session_id: str) -> int:
    return int(site.admin("GET", f"/sessions/{session_id}").json()["page_views"])


def test_a_page_view_that_comes_while_a_report_is_under_way_counts_once(site: Site) -> None:
    visit = enter(site, open_queue(site))

    def view() -> None:
        assert with_session(site, visit, "/", **{"Sec-Fetch-Dest": "document"}).status_code == 204

    for _ in range(4):
        view()
    with site.engine.client() as store:
        store.client_pause(2000, all=True)
    # Then the report of three views waits for the store, and what the gate knows of the session is too old.
    time.sleep(1.3)
    late = threading.Thread(target=view)
    late.start()
    late.join()
    wait_until(lambda: page_views(site, visit.session_id) >= 5)
    view()
    wait_until(lambda: page_views(site, visit.session_id) >= 6)
    assert page_views(site, visit.session_id) == 6
