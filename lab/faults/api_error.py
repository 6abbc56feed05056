"""The Nth call of an action goes wrong: it is answered with an error instead of being done, or its answer is lost.

``ConnectionReset`` in place of a code: the call takes effect, and the connection is closed without an answer, so that
the caller cannot know. SDKs send such a call again by themselves. Dry runs count with codes that refuse permission
(``UnauthorizedOperation``) alone: those are what a dry run asks about.
"""

from __future__ import annotations

from typing import Any

from lab.faults.counting import ASK_FOR_PERMISSION, LOST, Nth, Target
from lab.faults.fault import Effect, Options
from lab.faults.options import Option
from lab.faults.site import Site

SUMMARY = "the Nth call of an action is answered with an error code, or its answer is lost"
OPTIONS = (
    Option("action", "such as DetachVolume, of EC2 or SSM", required=True, subject=True),
    Option("code", f"AWS's error code; {LOST}: it takes effect, the answer is lost", default="InternalError"),
    Option("nth", "the first call that is hit, counted from when it is switched on", "integer", 1, least=1),
    Option("count", "how many calls from there on; 0 for all until it is switched off", "integer", 1, least=0),
)


def on(site: Site, options: Options) -> Effect:
    """Count the calls of the action."""
    action, code, nth = str(options["action"]), str(options["code"]), int(options["nth"])
    judge = Nth(Target(action, code in ASK_FOR_PERMISSION), nth, int(options["count"]), code)
    site.seams.requests.put(judge, judge)
    return Effect(f"call {nth} of {action} from now on gets {code}", judge)


def off(site: Site, _options: Options, memory: Any) -> str:
    """Answer again."""
    site.seams.requests.take(memory)
    return "its calls are answered"


def over(site: Site, _options: Options, memory: Any) -> bool:
    """Tell whether as many as wanted have been hit."""
    if memory.over:
        site.seams.requests.take(memory)
    return bool(memory.over)
