"""How much ETH is left for gas, and for how many days at the current use?"""

from typing import Iterator

from .livepeer import wei
from .model import DAY, OK, Gauge, Item, Node, Reading, below
from .store import spending


def look(node: Node) -> Iterator[Item]:
    """Yield the balance, and how long it lasts: two checks, for a rate is known only after two days of samples."""
    eth = wei(node.config["livepeer"]) / 1e18
    yield Gauge("eth_balance", {}, eth)
    level = below(eth, node.limit("balance_warn_eth"), node.limit("balance_alarm_eth"))
    yield Reading("eth-balance", "", level, eth, "{:.6f} ETH for gas".format(eth))
    rate = spending(node.store.sample("eth", node.now(), eth))
    if rate is None:
        yield Reading("gas-days", "", OK, None, "not enough samples yet to say how long {:.6f} ETH last".format(eth))
    elif rate == 0:
        yield Reading("gas-days", "", OK, None, "nothing was spent within seven days")
    else:
        days = eth / rate / DAY
        level = below(days, node.limit("gas_warn_days"), node.limit("gas_alarm_days"))
        yield Reading("gas-days", "", level, days, "{:.6f} ETH last {:.0f} days at the current use".format(eth, days))
