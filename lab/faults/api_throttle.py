"""EC2 answers calls with ``RequestLimitExceeded``, as it does to an account that has asked too much.

SDKs ask again by themselves (boto3 four times), and each of those calls may be hit as well.
"""

from __future__ import annotations

from typing import Any

from lab.faults.counting import Share, Target
from lab.faults.fault import Effect, Options
from lab.faults.options import Option
from lab.faults.site import Site

SUMMARY = "EC2 answers a share of all calls, or the next so many, with RequestLimitExceeded"
CODE = "RequestLimitExceeded"
OPTIONS = (
    Option("share", "share of the calls that are hit, 0 to 1", "number", 1.0, least=0, most=1),
    Option("count", "how many calls are hit before it ends by itself; 0 for no limit", "integer", 0, least=0),
    Option("action", "only this one, such as DescribeVolumes; default: every action of EC2", subject=True),
    Option("seed", "of the dice: the same one hits the same calls", "integer", 1),
)


def on(site: Site, options: Options) -> Effect:
    """Throw dice for every call."""
    share, action = float(options["share"]), str(options.get("action", ""))
    judge = Share(Target(action), share, int(options["count"]), int(options["seed"]), CODE)
    site.seams.requests.put(judge, judge)
    return Effect(f"{share:.0%} of the calls of {action or 'EC2'} are answered with {CODE}", judge)


def off(site: Site, _options: Options, memory: Any) -> str:
    """Answer again."""
    site.seams.requests.take(memory)
    return "no call is throttled"


def over(site: Site, _options: Options, memory: Any) -> bool:
    """Tell whether as many as wanted have been hit."""
    if memory.over:
        site.seams.requests.take(memory)
    return bool(memory.over)
