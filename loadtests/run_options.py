"""What can be chosen beyond Locust's own arguments; each also by environment variable or in Locust's web form.

`python -m loadtests.run_options` lists them: `locust --help` ends before it has read any locustfile.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent
REPORTS = FOLDER.parent / "var" / "reports"
SHAPES = ("steps", "spike", "soak", "ramp", "search")


def _at_least(least: float, *, whole: bool = False) -> Callable[[str], float]:
    """What makes such a number of a word, or says what it must be."""

    def number(word: str) -> float:
        try:
            found: float = int(word) if whole else float(word)
        except ValueError:
            found = math.nan
        if not least <= found < math.inf:
            what = "a whole number" if whole else "a number"
            raise argparse.ArgumentTypeError(f"must be {what} of at least {least:g}, not {word!r}")
        return found

    return number


def add_options(parser: Any) -> None:
    """Add them to Locust's parser."""
    parser.add_argument(
        "--think",
        type=_at_least(0),
        default=1.0,
        env_var="LOCUST_THINK",
        help="mean seconds between two visits of a person (closed model); 0 is full pressure",
    )
    parser.add_argument(
        "--open-model",
        action="store_true",
        default=False,
        env_var="LOCUST_OPEN_MODEL",
        help="each user stands for one arrival a second, whatever the answers; latency counts from the intended start",
    )
    parser.add_argument(
        "--most-in-flight",
        type=_at_least(1, whole=True),
        default=20,
        env_var="LOCUST_MOST_IN_FLIGHT",
        help="open model: unfinished visits for each arrival a second, beyond which an arrival is dropped",
    )
    parser.add_argument(
        "--shape",
        choices=("", *SHAPES),
        default="",
        env_var="LOCUST_SHAPE",
        help="steps, spike, soak or ramp up to --users within --run-time; search: the highest rate that meets the SLO",
    )
    parser.add_argument(
        "--warm-up",
        type=_at_least(0),
        default=0.0,
        env_var="LOCUST_WARM_UP",
        help="seconds at the start whose requests are not judged; failures always are",
    )
    parser.add_argument(
        "--step-seconds",
        type=_at_least(0),
        default=10.0,
        env_var="LOCUST_STEP_SECONDS",
        help="search: how long each rate is held",
    )
    parser.add_argument(
        "--accounts",
        type=_at_least(1, whole=True),
        default=4,
        env_var="LOCUST_ACCOUNTS",
        help="accounts that share the load, for each role and process",
    )
    parser.add_argument(
        "--admin-username", default="admin", env_var="LOCUST_ADMIN_USERNAME", help="who makes the accounts"
    )
    parser.add_argument(
        "--admin-password",
        default="admin",
        env_var="LOCUST_ADMIN_PASSWORD",
        include_in_web_ui=False,
        help="their password",
    )
    parser.add_argument(
        "--direct-url",
        default="http://127.0.0.1:8001",
        env_var="LOCUST_DIRECT_URL",
        help="student_service itself, which gateway-overhead compares with",
    )
    parser.add_argument(
        "--highest-quota",
        type=_at_least(1, whole=True),
        default=3000,
        env_var="LOCUST_HIGHEST_QUOTA",
        help="rate-limits: a quota above this isn't tried to be exhausted",
    )
    parser.add_argument(
        "--slo",
        default=str(FOLDER / "slo.toml"),
        env_var="LOCUST_SLO",
        help="the objectives (default: loadtests/slo.toml)",
    )
    parser.add_argument(
        "--baseline", default="", env_var="LOCUST_BASELINE", help="a report's JSON to compare with, beyond noise"
    )
    parser.add_argument(
        "--reports", default=str(REPORTS), env_var="LOCUST_REPORTS", help="the folder of reports (default: var/reports)"
    )
    parser.add_argument("--report-name", default="", env_var="LOCUST_REPORT_NAME", help="default: date and scenarios")
    parser.add_argument(
        "--note",
        default="",
        env_var="LOCUST_NOTE",
        help="what a report should say of the system beyond what it finds out, as name=value;name=value",
    )
    parser.add_argument(
        "--fail-on-generator-limit",
        action="store_true",
        default=False,
        env_var="LOCUST_FAIL_ON_GENERATOR_LIMIT",
        help="exit with 3 when the load generator itself was the limit",
    )
    parser.add_argument(
        "--progress",
        type=_at_least(0),
        default=5.0,
        env_var="LOCUST_PROGRESS",
        help="seconds between progress lines; 0: none",
    )


class _Lister(argparse.ArgumentParser):
    """Takes what Locust's parser takes, to list it."""

    def add_argument(self, *names: Any, env_var: str = "", include_in_web_ui: bool = True, **options: Any) -> Any:
        del include_in_web_ui
        hint = options.pop("help", "")
        default = options.get("default")
        if "default:" not in hint and default not in ("", False, None) and env_var != "LOCUST_ADMIN_PASSWORD":
            hint = f"{hint} (default: {default})"
        return super().add_argument(*names, help=f"{hint} [{env_var}]".replace("%", "%%"), **options)


def help_text() -> str:
    """All of the arguments, with their defaults and environment variables."""
    parser = _Lister(add_help=False, usage=argparse.SUPPRESS)
    add_options(parser)
    return parser.format_help().partition("\n")[2]


if __name__ == "__main__":
    print("Beside Locust's own arguments (`locust --help`), each also by the environment variable in brackets:\n")
    print(help_text())
