"""`locust -f loadtests`: every scenario by name, and the mix of them when none is named. See docs/load-testing.md."""

from loadtests.scenarios.admin_pages import AdminPages
from loadtests.scenarios.browsing import Browsing
from loadtests.scenarios.gateway_overhead import GatewayOverhead
from loadtests.scenarios.rate_limits import RateLimits
from loadtests.scenarios.registrar import Registrar
from loadtests.scenarios.session_life import SessionLife
from loadtests.scenarios.sign_in_storm import SignInStorm

__all__ = ["AdminPages", "Browsing", "GatewayOverhead", "RateLimits", "Registrar", "SessionLife", "SignInStorm"]
