"""Whatever is chosen: what is rendered exists in the chosen versions, or the choice is refused with a reason."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.catalog.choices import ARBITRUM, REFERENCE
from transcoder.catalog import geth, geth_keys, gpu, livepeer
from transcoder.catalog.choice import Choice, GethChoice, LivepeerChoice
from transcoder.catalog.geth_config import geth_tables
from transcoder.catalog.history import Version, at
from transcoder.catalog.livepeer_flags import FLAGS, known
from transcoder.catalog.options import livepeer_arguments
from transcoder.catalog.refusals import notes, reasons
from transcoder.catalog.systems import SYSTEMS

EDGES = sorted({v for flag in FLAGS for v in (flag.span.since, flag.span.until) if v} | {(0, 6, 0), (0, 9, 1)})
GETH_EDGES = sorted(
    {v for key in geth_keys.KEYS for v in (key.span.since, key.span.until) if v}
    | {e.since for h in (geth.SYNC_MODES, geth.GLIBCS, geth.FORKS) for e in h}
    | {(1, 8, 27), (1, 12, 0), (1, 12, 1), (1, 17, 5)}
)
USER = "me:secret"
URLS = ["", "x", "https://rpc.example/v1", "http://rpc.example", f"https://{USER}@rpc.example"]
OPTIONS = st.dictionaries(
    st.sampled_from(sorted({flag.name for flag in FLAGS} | {"nonsense"})),
    st.sampled_from(["true", "false", "3", "10s", "text", "/d1/livepeer/secret", "-x", ""]),
    max_size=3,
)


def versions(edges: list[Version]) -> st.SearchStrategy[Version]:
    """Versions where something changes, the ones just before, and any others."""
    before = [(a, b, c - 1) for a, b, c in edges if c]
    return st.sampled_from([*edges, *before]) | st.tuples(st.integers(0, 2), st.integers(0, 18), st.integers(0, 40))


CHOICES = st.builds(
    Choice,
    os=st.sampled_from([*SYSTEMS, "ubuntu-16.04"]),
    instance_type=st.sampled_from(["c4.2xlarge", "g4dn.xlarge"]),
    geth=st.none()
    | st.builds(
        GethChoice,
        version=versions(GETH_EDGES),
        sync_mode=st.sampled_from(["light", "fast", "full", "snap"]),
        cache_mib=st.just(512),
        consensus_client=st.booleans(),
    ),
    livepeer=st.builds(
        LivepeerChoice,
        version=versions(EDGES),
        network=st.sampled_from([*livepeer.NETWORKS, "elsewhere"]),
        eth_url=st.sampled_from(
            ["", "https://rpc.example/v1", "http://rpc.example", f"https://{USER}@rpc.example", "x"]
        ),
        service_address=st.sampled_from(["", "node.example:8935"]),
        initialize_round=st.booleans(),
        gas_price_wei=st.sampled_from([0, 7]),
        price_per_unit=st.sampled_from(["", "1200", "0.50USD", "cheap"]),
        private_options=st.booleans(),
        options=st.just({}) | OPTIONS,
    ),
    gpus=st.sampled_from(["", "all", "0,1"]),
    archive=st.sampled_from(["", "livepeer-linux-amd64.tar.gz", livepeer.GPU_ARCHIVE]),
)


def flags_with_values(arguments: tuple[str, ...]) -> list[tuple[str, str | None]]:
    """Read a command line as Go's flag package does, but for booleans that stand alone."""
    found: list[tuple[str, str | None]] = []
    words = list(arguments)
    while words:
        name, equals, value = words.pop(0).removeprefix("-").partition("=")
        following = words.pop(0) if not equals and words and not words[0].startswith("-") else None
        found.append((name, value if equals else following))
    return found


def check(choice: Choice) -> None:
    """Assert that everything rendered for a choice exists, and fits."""
    own = known(choice.livepeer.version)
    rendered = flags_with_values(livepeer_arguments(choice))
    assert {name for name, _ in rendered} <= own.keys()
    assert len({name for name, _ in rendered}) == len(rendered), "a flag is given twice"
    for name, value in rendered:
        kind = own[name].kind
        assert value in (None, "true", "false") if kind == "bool" else value is not None, name
        assert kind != "int" or int(str(value)) is not None
        assert kind != "secret" or str(value).startswith("/")
    assert choice.livepeer.version in livepeer.NETWORKS[choice.livepeer.network].span
    assert choice.livepeer.version < (0, 7, 0) or choice.os != "ubuntu-18.04"
    assert not choice.gpus or choice.instance_type.startswith("g")
    if choice.geth:
        check_geth(choice, choice.geth)


def check_geth(choice: Choice, own: GethChoice) -> None:
    tables = geth_tables(choice, 25)
    keys = geth_keys.known(own.version)
    assert {(t, k) for t, values in tables.items() for k in values} <= {(t, k) for t in keys for k in keys[t]}
    assert tables["Eth"]["SyncMode"] in at(geth.SYNC_MODES, own.version)
    network = choice.livepeer.network
    words = geth.arguments(own.version, sync_mode=own.sync_mode, cache_mib=own.cache_mib, network=network)
    allowed = {flag.name for flag in geth.FLAGS if own.version in flag.span}
    assert {word for word in words if word.startswith("-")} <= allowed


@settings(max_examples=600, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(CHOICES)
def test_a_choice_is_refused_with_a_reason_or_all_that_is_rendered_exists(choice: Choice) -> None:
    found = reasons(choice)
    assert all(len(reason) > 20 for reason in found)
    if not found:
        check(choice)
        notes(choice)


@pytest.mark.parametrize("version", EDGES)
def test_every_version_can_be_chosen_in_some_way_unless_its_keystore_is_elsewhere(version: Version) -> None:
    price = "1" if version >= (0, 5, 0) else ""
    own = LivepeerChoice(version, "offchain", price_per_unit=price)
    found = reasons(Choice("ubuntu-22.04", "m6i.xlarge", None, own))

    assert found == () or ((0, 3, 2) <= version < (0, 5, 0) and len(found) == 1 and "<network>/keystore" in found[0])


@pytest.mark.parametrize("version", GETH_EDGES)
def test_every_geth_can_be_chosen_in_each_of_its_sync_modes(version: Version) -> None:
    for mode in geth.sync_modes(version):
        own = GethChoice(version, mode, 512, consensus_client=version >= geth.MERGE)
        choice = replace(REFERENCE, os="ubuntu-24.04", geth=own)
        assert reasons(choice) == ()
        check(choice)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(known((0, 9, 1)))), st.just("true") | st.just("4"), max_size=4))
def test_options_never_replace_what_the_image_sets_itself(options: dict[str, str]) -> None:
    choice = replace(ARBITRUM, livepeer=replace(ARBITRUM.livepeer, options=options))
    if not reasons(choice):
        check(choice)


def test_every_system_that_can_have_a_gpu_has_its_packages() -> None:
    assert all(gpu.packages(os, "all") for os in gpu.PACKAGES)
    assert gpu.packages("ubuntu-24.04", "") == ()
