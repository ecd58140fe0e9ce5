"""The plan: who comes when and does what."""

from collections import Counter
from ipaddress import ip_address, ip_network
from random import Random

import pytest

from tests.rehearse.imagined_room import FACTS
from wr.rehearse.plan import MOST_VISITORS, Behaviour, Plan, make_visit_plans

PLAN = Plan(FACTS, visitors=4000, join_rate=200.0, seed=7, run_id="one")
CAST = list(make_visit_plans(PLAN, Random(7)))


def test_the_same_seed_plays_the_same_sale() -> None:
    assert list(make_visit_plans(PLAN, Random(7))) == CAST
    assert list(make_visit_plans(PLAN, Random(8))) != CAST


def test_visitors_come_at_the_join_rate() -> None:
    assert [visit_plan.comes_at_s for visit_plan in CAST] == sorted(
        visit_plan.comes_at_s for visit_plan in CAST
    )
    assert CAST[-1].comes_at_s == pytest.approx(PLAN.visitors / PLAN.join_rate, rel=0.1)


def test_every_priority_and_every_behaviour_is_played() -> None:
    assert set(Counter(visit_plan.priority for visit_plan in CAST)) == {0, 1, 2, 3}
    assert set(Counter(visit_plan.behaviour for visit_plan in CAST)) == set(Behaviour)


def test_nobody_shares_an_address_or_a_user_id() -> None:
    assert len({visit_plan.address for visit_plan in CAST}) == len(CAST)
    assert len({visit_plan.metadata["user_id"] for visit_plan in CAST}) == len(CAST)


def test_addresses_are_those_set_aside_for_tests_and_suffice_for_the_largest_sale() -> None:
    network = ip_network("198.18.0.0/15")
    assert all(ip_address(visit_plan.address) in network for visit_plan in CAST)
    assert network.num_addresses == MOST_VISITORS


def test_whoever_means_to_come_back_does_so_before_the_timeout_and_after_a_missed_heartbeat() -> None:
    for visit_plan in CAST:
        assert FACTS.heartbeat_interval_seconds < visit_plan.silence_s
        assert visit_plan.silence_s < 0.8 * FACTS.heartbeat_timeout_seconds


def test_metadata_is_what_the_contract_allows() -> None:
    assert all(isinstance(value, str | int | float | bool) for value in CAST[0].metadata.values())


def test_far_back_is_who_cannot_be_let_in_soon_at_the_full_rate() -> None:
    assert not PLAN.is_far_back(int(FACTS.burst + 10 * FACTS.admission_rate), 10)
    assert PLAN.is_far_back(int(FACTS.burst + 14 * FACTS.admission_rate), 10)
