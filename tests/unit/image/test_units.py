"""The units that are baked: known to systemd 237, tied to their volumes, and as the operator's layout says."""

from __future__ import annotations

from pathlib import Path

import pytest

from packer.recipe import SYSTEM_UNITS, baked_units, resting_units
from packer.rootfs import render_rootfs
from packer.tarball import File
from tests.unit.image.rendered import DATA, parse_unit, rendered, text_of
from tests.unit.packer.samples import arbitrum_settings, fetching_settings, settings_in
from transcoder import layout, shape
from transcoder.settings import Settings, load, names
from transcoder.settings_restart import Restart

DIRECTORY = "etc/systemd/system"
UNITS = shape.units(load("bionic-2018"))
"""The units of the volumes."""
NIGHTLY = (layout.NIGHTLY_UNIT, layout.NIGHTLY_TIMER)
WATCHING = ("transcoder-counts.service", "transcoder-watch.service")
ALL_UNITS = baked_units(load("bionic-2018"))
GOLDEN = Path(__file__).parent / "golden" / "geth-1.8.27-livepeer-0.2.4"


def unknown_directives(text: str) -> list[str]:
    """Return the directives of a unit file that systemd 237 would ignore with a warning."""
    known = set((DATA / "systemd-237-directives.txt").read_text().split())
    return [f"{section}.{name}" for section, name, _ in parse_unit(text) if f"{section}.{name}" not in known]


def values(directory: Path, unit: str, settings: str = "") -> dict[tuple[str, str], list[str]]:
    found: dict[tuple[str, str], list[str]] = {}
    for section, name, value in parse_unit(text_of(rendered(directory, livepeer=settings), f"{DIRECTORY}/{unit}")):
        found.setdefault((section, name), []).append(value)
    return found


@pytest.mark.parametrize("name", names())
def test_systemd_237_knows_every_directive_of_every_environment_that_ships(name: str) -> None:
    files = render_rootfs(load(name))
    units = [path for path in files if path.startswith(f"{DIRECTORY}/")]

    assert {path: unknown_directives(text_of(files, path)) for path in units} == {path: [] for path in units}


@pytest.mark.parametrize(
    "path", ["etc/geth/geth.toml", *(f"{DIRECTORY}/{unit}" for unit in UNITS if "service" in unit)]
)
def test_what_the_reference_runs_on_has_not_changed_by_a_byte(path: str) -> None:
    golden = GOLDEN / Path(path).name

    assert text_of(render_rootfs(load("bionic-2018")), path) == golden.read_text()


def test_a_newer_directive_would_be_caught(tmp_path: Path) -> None:
    text = text_of(rendered(tmp_path), f"{DIRECTORY}/geth.service")
    newer = text.replace("UMask=", "LoadCredential=key:/etc/key\nUMask=")

    assert unknown_directives(newer) == ["Service.LoadCredential"]


def test_a_start_limit_in_the_wrong_section_would_be_caught() -> None:
    assert unknown_directives("[Service]\nStartLimitIntervalSec=0\n") == ["Service.StartLimitIntervalSec"]


def baked_files(files: dict[str, File]) -> set[str]:
    """Return the units of the image that are its own, without those of the vendor's that it changes."""
    paths = [path.removeprefix(f"{DIRECTORY}/") for path in files if path.startswith(f"{DIRECTORY}/")]
    return {path for path in paths if "/" not in path}


def test_all_units_that_are_enabled_are_baked_and_no_other_but_those_that_rest(tmp_path: Path) -> None:
    assert {"d1.mount", "d2.mount", "geth.service", "livepeer-transcoder.service"} == set(UNITS)
    assert baked_files(rendered(tmp_path)) == {*UNITS, *SYSTEM_UNITS, *WATCHING, *NIGHTLY}
    assert {*UNITS, *SYSTEM_UNITS, *WATCHING} == set(ALL_UNITS)
    assert resting_units(settings_in(tmp_path)) == NIGHTLY


def test_a_node_restarts_itself_only_where_the_environment_says_when(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    wanted = settings.model_copy(update={"restart": Restart(nightly="02:30", within_minutes=45)})
    timer = {name: value for _, name, value in parse_unit(unit_of(wanted, layout.NIGHTLY_TIMER))}

    assert layout.NIGHTLY_TIMER not in baked_units(settings)
    assert layout.NIGHTLY_TIMER in baked_units(wanted)
    assert resting_units(wanted) == (layout.NIGHTLY_UNIT,)
    assert (timer["OnCalendar"], timer["RandomizedDelaySec"]) == ("*-*-* 02:30:00 UTC", "45min")
    assert timer["Persistent"] == "no"
    assert timer["WantedBy"] == "timers.target"


def test_nothing_but_its_timer_starts_the_nightly_restart_and_no_end_is_set_to_it(tmp_path: Path) -> None:
    found = values(tmp_path, layout.NIGHTLY_UNIT)

    assert found["Service", "Type"] == ["oneshot"]
    assert found["Service", "SuccessExitStatus"] == ["3"]
    assert not {"WantedBy", "TimeoutStartSec", "RuntimeMaxSec"} & {name for _, name in found}, "each step has its own"


def unit_of(settings: Settings, unit: str) -> str:
    return text_of(render_rootfs(settings), f"{DIRECTORY}/{unit}")


@pytest.mark.parametrize("volume", layout.VOLUMES, ids=lambda volume: volume.role)
def test_a_mount_is_wanted_by_and_bound_to_the_device_with_its_label(volume: layout.DataVolume, tmp_path: Path) -> None:
    found = values(tmp_path, volume.mount_unit)
    device = "dev-disk-by\\x2dlabel-{}.device".format(volume.label.replace("-", "\\x2d"))

    assert found["Mount", "What"] == [f"/dev/disk/by-label/{volume.label}"]
    assert found["Mount", "Where"] == [volume.mount]
    assert found["Unit", "BindsTo"] == found["Unit", "After"] == found["Install", "WantedBy"] == [device]


@pytest.mark.parametrize("volume", layout.VOLUMES, ids=lambda volume: volume.role)
def test_a_service_lives_and_dies_with_its_mount(volume: layout.DataVolume, tmp_path: Path) -> None:
    found = values(tmp_path, volume.service.unit)

    assert found["Unit", "BindsTo"] == found["Install", "WantedBy"] == [volume.mount_unit]
    assert volume.mount_unit in found["Unit", "After"][0].split()
    assert found["Service", "User"] == found["Service", "Group"] == [volume.service.user]
    assert found["Service", "ReadWritePaths"] == [volume.mount]


@pytest.mark.parametrize("unit", UNITS)
def test_a_file_in_run_keeps_a_unit_from_starting_by_itself(unit: str, tmp_path: Path) -> None:
    files = rendered(tmp_path)

    assert values(tmp_path, unit)["Unit", "ConditionPathExists"] == ["!/run/transcoder/hold/%n"]
    assert "d /run/transcoder/hold " in text_of(files, "etc/tmpfiles.d/transcoder.conf")


@pytest.mark.parametrize("volume", layout.VOLUMES, ids=lambda volume: volume.role)
def test_a_service_is_restarted_for_ever_but_not_after_a_refusal(volume: layout.DataVolume, tmp_path: Path) -> None:
    found = values(tmp_path, volume.service.unit)

    assert found["Unit", "StartLimitIntervalSec"] == ["0"]
    assert found["Service", "Restart"] == ["always"]
    assert found["Service", "RestartPreventExitStatus"] == ["78"]
    # systemd looks at the exit status of the main process only.
    assert ("Service", "ExecStartPre") not in found
    assert found["Service", "ExecStart"][0].startswith(f"/usr/local/lib/transcoder/check-volume {volume.role} ")


def test_a_stop_of_geth_stops_no_livepeer(tmp_path: Path) -> None:
    found, geth = values(tmp_path, layout.LIVEPEER.service.unit), layout.GETH.service.unit

    # Requires=, BindsTo= and PartOf= would each hand a stop on.
    assert {name for (_, name), words in found.items() if geth in " ".join(words).split()} == {"After", "Wants"}
    assert layout.LIVEPEER.service.unit not in text_of(rendered(tmp_path), f"{DIRECTORY}/{geth}")


@pytest.mark.parametrize("volume", layout.VOLUMES, ids=lambda volume: volume.role)
def test_a_service_may_open_50000_files_and_is_stopped_with_sigint(volume: layout.DataVolume, tmp_path: Path) -> None:
    found = values(tmp_path, volume.service.unit)

    wanted = {"LimitNOFILE": "50000", "KillSignal": "SIGINT", "KillMode": "mixed", "ProtectSystem": "strict"}
    assert {name: found["Service", name][0] for name in wanted} == wanted


def test_livepeer_talks_to_the_geth_of_its_machine_and_keeps_everything_on_its_volume(tmp_path: Path) -> None:
    command = values(tmp_path, "livepeer-transcoder.service")["Service", "ExecStart"][0].split()

    flags = command[command.index("/usr/local/bin/livepeer") + 1 :]
    assert flags[flags.index("-ethUrl") + 1] == "ws://127.0.0.1:8546"
    assert flags[flags.index("-datadir") + 1] == layout.KEYSTORE.removesuffix("/keystore")
    assert flags[flags.index("-ipfsPath") + 1] == "/d1/livepeer"
    assert "-initializeRound" in flags
    assert "/usr/local/lib/transcoder/wait-for-geth" in command


def test_livepeer_without_a_chain_waits_for_no_geth(tmp_path: Path) -> None:
    command = values(tmp_path, "livepeer-transcoder.service", 'network = "offchain"')["Service", "ExecStart"][0]

    assert "-offchain" in command
    assert "wait-for-geth" not in command
    assert "-ethUrl" not in command


def test_an_image_without_geth_has_no_unit_of_it_and_waits_for_none(tmp_path: Path) -> None:
    files = render_rootfs(arbitrum_settings(tmp_path))
    units = baked_files(files)
    livepeer = text_of(files, f"{DIRECTORY}/livepeer-transcoder.service")

    assert units == {"d1.mount", "livepeer-transcoder.service", *SYSTEM_UNITS, *WATCHING, *NIGHTLY}
    assert units == {*baked_units(arbitrum_settings(tmp_path)), *resting_units(arbitrum_settings(tmp_path))}
    assert "etc/geth/geth.toml" not in files
    assert "geth" not in livepeer


def test_a_livepeer_on_arbitrum_tells_its_service_address_and_keeps_its_control_port_to_itself(tmp_path: Path) -> None:
    text = text_of(render_rootfs(arbitrum_settings(tmp_path)), f"{DIRECTORY}/livepeer-transcoder.service")
    command = command_of(text)

    assert command[command.index("--announce") + 1] == "serviceAddr:8935"
    assert command[command.index("-cliAddr") + 1] == "127.0.0.1:7935"
    assert command[command.index("-ethUrl") + 1] == "https://rpc.example/arb"
    assert "-publicIP" not in text


def test_private_options_are_proven_before_livepeer_reads_them(tmp_path: Path) -> None:
    settings = arbitrum_settings(tmp_path, livepeer="private_options = true", eth_url="")
    command = command_of(text_of(render_rootfs(settings), f"{DIRECTORY}/livepeer-transcoder.service"))

    assert command[command.index("--private") + 1] == command[command.index("-config") + 1]
    assert "-ethUrl" not in command


def test_a_passphrase_is_fetched_when_the_key_is_proven_and_before_livepeer_runs(tmp_path: Path) -> None:
    files = render_rootfs(fetching_settings(tmp_path))
    text = text_of(files, f"{DIRECTORY}/livepeer-transcoder.service")
    command = command_of(text)

    chain = [word.rpartition("/")[2] for word in command if word.startswith("/usr/local/")]
    assert chain == ["check-volume", "fetch-passphrase", "run-livepeer", "livepeer"]
    assert command[command.index("--name") + 1] == "transcoder/passphrases/world"
    assert command[command.index("--file") + 1] == layout.PASSPHRASE
    assert "-ethPassword" not in command, "only what is fetched is told to livepeer"
    found = {name: value for _, name, value in parse_unit(text) if name.startswith("Runtime")}
    assert found == {"RuntimeDirectory": Path(layout.PASSPHRASE).parent.name, "RuntimeDirectoryMode": "0700"}
    assert unknown_directives(text) == []
    assert layout.FETCH_PASSPHRASE.removeprefix("/") in files


def test_an_image_that_fetches_no_passphrase_has_nothing_of_it(tmp_path: Path) -> None:
    files = rendered(tmp_path)

    assert layout.FETCH_PASSPHRASE.removeprefix("/") not in files
    assert "passphrase" not in text_of(files, f"{DIRECTORY}/livepeer-transcoder.service")


def test_an_address_for_others_that_is_given_is_not_asked_of_the_metadata_service(tmp_path: Path) -> None:
    settings = arbitrum_settings(tmp_path, livepeer='service_address = "node.example:8935"')
    command = command_of(text_of(render_rootfs(settings), f"{DIRECTORY}/livepeer-transcoder.service"))

    assert command[command.index("--announce") + 1] == "none"
    assert command[command.index("-serviceAddr") + 1] == "node.example:8935"


def test_what_systemd_would_take_apart_in_an_option_reaches_livepeer_whole(tmp_path: Path) -> None:
    settings = arbitrum_settings(tmp_path, livepeer='options = { orchAddr = "a b%i$c" }')
    text = text_of(render_rootfs(settings), f"{DIRECTORY}/livepeer-transcoder.service")

    assert '-orchAddr "a b%%i$$c"' in text


def test_the_devices_of_a_gpu_can_be_seen_and_those_of_none_cannot(tmp_path: Path) -> None:
    for gpus, wanted in (("", ["yes"]), ("all", ["yes", "no"])):
        text = text_of(
            render_rootfs(arbitrum_settings(tmp_path, gpus=gpus)), f"{DIRECTORY}/livepeer-transcoder.service"
        )
        found = [value for _, name, value in parse_unit(text) if name == "PrivateDevices"]
        assert found == wanted


def test_the_watch_owns_nothing_and_the_one_that_may_read_has_no_network(tmp_path: Path) -> None:
    watch, counts = (values(tmp_path, unit) for unit in ("transcoder-watch.service", "transcoder-counts.service"))

    assert watch["Service", "User"] == [layout.WATCH.user]
    assert watch["Service", "CapabilityBoundingSet"] == [""]
    assert (watch["Service", "Type"], watch["Service", "WatchdogSec"]) == (["notify"], ["120"])
    assert counts["Service", "CapabilityBoundingSet"] == ["CAP_DAC_READ_SEARCH"]
    assert (counts["Service", "PrivateNetwork"], counts["Service", "RestrictAddressFamilies"]) == (["yes"], ["AF_UNIX"])


@pytest.mark.parametrize("unit", [*WATCHING, layout.NIGHTLY_UNIT])
def test_what_watches_or_restarts_pins_no_volume(unit: str, tmp_path: Path) -> None:
    found = values(tmp_path, unit)

    assert not [name for name in ("ReadWritePaths", "ReadOnlyPaths", "InaccessiblePaths") if ("Service", name) in found]
    assert not {"BindsTo", "Requires", "RequiresMountsFor"} & {name for _, name in found}


def command_of(unit: str) -> list[str]:
    return next(value for _, name, value in parse_unit(unit) if name == "ExecStart").split()


def test_variables_of_the_environment_reach_the_service(tmp_path: Path) -> None:
    found = values(tmp_path, "livepeer-transcoder.service", 'environment = { SLOW = "50% off", A = "b" }')

    assert found["Service", "Environment"] == ["HOME=/d1/livepeer", '"A=b"', '"SLOW=50%% off"']
