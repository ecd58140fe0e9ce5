"""Load tests of a waiting room, against any server with this API: choose a scenario by its name.

    locust -f bench/locustfile.py --host http://127.0.0.1:8080 --queue demo Sale

`./scripts/bench sale` does the same with its own server and store.
"""

from locust import events
from locust.argument_parser import LocustArgumentParser

from bench.scenarios import telling
from bench.scenarios.live import Live
from bench.scenarios.poll_storm import PollStorm
from bench.scenarios.sale import Sale
from bench.scenarios.steady import Steady
from bench.scenarios.surge import Surge

__all__ = ["Live", "PollStorm", "Sale", "Steady", "Surge"]


def _add_options(parser: LocustArgumentParser) -> None:
    parser.add_argument("--queue", env_var="WR_QUEUE", default="demo", help="Queue to join; default: demo.")


events.init_command_line_parser.add_listener(_add_options)
events.init.add_listener(telling.begin)
