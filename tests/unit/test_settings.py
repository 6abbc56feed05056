"""Environments: which one is taken, what the shipped ones say, and what a wrong one is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from transcoder import settings
from transcoder.errors import BadSettings
from transcoder.settings import Settings, load

WHOLE = """\
description = "one of everything that is required, and some more"

[aws]
region = "us-east-1"
availability_zone = "us-east-1a"
endpoint_url = "http://127.0.0.1:5620"
access_key_id = "lab"
secret_access_key = "lab"
key_name = "lab"
ingress = [{ port = 22, sources = ["172.31.210.0/24"], why = "operators" }]

[ssh]
address = "private"

[image]
os = "ubuntu-18.04"
source_ami = { name = "lab/stock/*", owners = ["self"] }

[geth]
version = "1.8.27"
source = "/var/cache/geth.tar.gz"
in_sync_budget_seconds = 60
head_age_seconds = 30

[livepeer]
version = "0.2.4"
source = "/var/cache/livepeer.tar.gz"
network = "devenv"

[instance]
type = "c4.2xlarge"

[volumes]
livepeer = { size_gib = 1, device = "/dev/sdg" }
geth = { size_gib = 1, device = "/dev/sdh" }

[node]
default = "tc001"
"""


@pytest.fixture(autouse=True)
def no_environment_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRANSCODER_ENV", raising=False)


def changed(directory: Path, old: str, new: str) -> Path:
    """Write `WHOLE` with one change."""
    assert old in WHOLE
    path = directory / "mine.toml"
    path.write_text(WHOLE.replace(old, new, 1), encoding="utf-8")
    return path


def refusal(path: Path) -> BadSettings:
    with pytest.raises(BadSettings) as raised:
        load(str(path))
    return raised.value


# Which environment


def test_what_the_changes_are_made_to_is_right_itself(tmp_path: Path) -> None:
    assert load(str(changed(tmp_path, "", ""))).node.default == "tc001"


def test_without_a_word_it_is_the_lab() -> None:
    assert load().name == "lab"


def test_transcoder_env_chooses_and_an_option_beats_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRANSCODER_ENV", "bionic-2018")
    assert load().name == "bionic-2018"
    assert load("lab").name == "lab"


def test_an_environment_may_be_a_file_anywhere(tmp_path: Path) -> None:
    chosen = load(str(changed(tmp_path, 'default = "tc001"', 'default = "tc007"')))
    assert (chosen.name, chosen.node.default) == ("mine", "tc007")


def test_an_environment_that_does_not_exist_is_told_which_do() -> None:
    with pytest.raises(BadSettings, match="environment 'staging' does not exist") as raised:
        load("staging")
    assert "arbitrum, bionic-2018, bionic-arbitrum, lab" in raised.value.hint


def test_a_name_cannot_lead_out_of_the_directory() -> None:
    with pytest.raises(BadSettings, match="neither a name nor a path"):
        load("../pyproject")


@pytest.mark.parametrize("name", settings.names())
def test_every_environment_that_ships_loads(name: str) -> None:
    loaded = load(name)
    assert loaded.name == name
    assert loaded.description


# What the shipped environments say


def test_bionic_2018_is_the_reference_set_up() -> None:
    reference = load("bionic-2018")
    assert (reference.aws.region, reference.aws.availability_zone) == ("us-east-1", "us-east-1a")
    assert reference.image.os == "ubuntu-18.04"
    instance = reference.instance
    assert (instance.type, instance.ebs_optimized, instance.monitoring) == ("c4.2xlarge", True, True)
    assert (instance.root_size_gib, instance.root_type, instance.shutdown_behavior) == (32, "gp2", "stop")
    livepeer, geth = reference.volumes.livepeer, reference.volumes.geth
    assert (livepeer.size_gib, livepeer.type, livepeer.device, livepeer.encrypted) == (100, "gp2", "/dev/sdg", True)
    assert (geth.size_gib, geth.type, geth.device, geth.encrypted) == (500, "gp2", "/dev/sdh", True)
    assert (reference.geth.sync_mode, reference.livepeer.version) == ("light", "0.2.4")


def test_an_environment_may_do_without_geth_but_has_to_say_so(tmp_path: Path) -> None:
    loaded = load("arbitrum")
    assert not loaded.geth.enabled
    with pytest.raises(BadSettings, match="no volume for geth"):
        _ = loaded.volumes.geth
    assert "geth: missing" in str(refusal(changed(tmp_path, "[geth]", "[gteh]")))


def test_geth_without_a_program_or_without_a_volume_is_refused(tmp_path: Path) -> None:
    assert "or enabled = false" in str(refusal(changed(tmp_path, 'version = "1.8.27"\n', "")))
    without = changed(tmp_path, 'geth = { size_gib = 1, device = "/dev/sdh" }\n', "")
    assert "volumes.geth: missing" in str(refusal(without))


def test_geth_has_the_time_to_stop_that_its_sync_mode_needs_unless_told_otherwise(tmp_path: Path) -> None:
    old = "in_sync_budget_seconds = 60"
    assert load(str(changed(tmp_path, "", ""))).geth.stop_budget_seconds == 180
    assert load(str(changed(tmp_path, old, 'sync_mode = "full"'))).geth.stop_budget_seconds == 600
    told = 'sync_mode = "full"\nstop_budget_seconds = 900'
    assert load(str(changed(tmp_path, old, told))).geth.stop_budget_seconds == 900


def test_deleting_a_data_volume_on_termination_is_not_a_setting(tmp_path: Path) -> None:
    path = changed(tmp_path, 'device = "/dev/sdg"', 'device = "/dev/sdg", delete_on_termination = true')
    assert "volumes.livepeer.delete_on_termination: no such key" in str(refusal(path))


def test_the_lab_speaks_to_this_machine_only() -> None:
    assert load("lab").aws.endpoint_url.startswith("http://127.0.0.1:")


def test_only_the_lab_has_a_lab_table() -> None:
    assert load("lab").extension("lab")["name"] == "lab"
    with pytest.raises(BadSettings, match=r"'bionic-2018' has no \[lab\] table"):
        load("bionic-2018").extension("lab")


def test_settings_do_not_change_after_loading(tmp_path: Path) -> None:
    loaded = load()
    with pytest.raises(ValueError, match="frozen"):
        loaded.node.default = "tc002"  # type: ignore[misc]


# What a wrong one is told: file, key, what was found, what is allowed


@pytest.mark.parametrize(
    ("old", "new", "key", "found", "allowed"),
    [
        ('os = "ubuntu-18.04"', 'os = "ubuntu-16.04"', "image.os", "'ubuntu-16.04'", "'ubuntu-18.04'"),
        ('region = "us-east-1"', 'region = "mars"', "aws.region", "'mars'", "pattern"),
        (
            "in_sync_budget_seconds = 60",
            'in_sync_budget_seconds = "soon"',
            "geth.in_sync_budget_seconds",
            "'soon'",
            "integer",
        ),
        ("head_age_seconds = 30", "head_age_seconds = 0", "geth.head_age_seconds", "0", "greater than or equal to 1"),
        ('device = "/dev/sdg"', 'device = "/dev/sda1"', "volumes.livepeer.device", "'/dev/sda1'", "/dev/"),
        ("size_gib = 1,", "size_gib = 0,", "volumes.livepeer.size_gib", "0", "greater than or equal to 1"),
        ('address = "private"', 'address = "both"', "ssh.address", "'both'", "'public' or 'private'"),
        ('default = "tc001"', 'default = "TC 1"', "node.default", "'TC 1'", "pattern"),
        ('network = "devenv"', 'network = "arbitrum"', "livepeer.network", "'arbitrum'", "'mainnet'"),
        ('version = "1.8.27"', 'version = "latest"', "geth.version", "'latest'", "pattern"),
        ('"172.31.210.0/24"]', '"172.31.210.1/24"]', "aws.ingress.0.sources", "172.31.210.1/24", "host bits"),
    ],
)
def test_a_wrong_value_gets_file_key_found_and_allowed(
    tmp_path: Path, old: str, new: str, key: str, found: str, allowed: str
) -> None:
    path = changed(tmp_path, old, new)
    error = refusal(path)
    assert error.exit_code == 3
    assert str(path) in error.message
    reason = next(reason for reason in error.reasons if reason.startswith(f"{key}: "))
    assert found in reason
    assert allowed in reason


@pytest.mark.parametrize(
    ("old", "new", "key", "allowed"),
    [
        ('[node]\ndefault = "tc001"', '[node]\ndefualt = "tc001"', "node.defualt", "default, domain"),
        ('[instance]\ntype = "c4.2xlarge"', '[instance]\nkind = "c4.2xlarge"', "instance.kind", "ebs_optimized"),
        ("port = 22, sources", "ports = 22, sources", "aws.ingress.0.ports", "port, protocol, sources"),
        (
            "size_gib = 1, device",
            "size_gb = 1, device",
            "volumes.livepeer.size_gb",
            "device, encrypted, size_gib, type",
        ),
        ('description = "', 'title = "', "title", "aws, description, downloads, geth"),
    ],
)
def test_an_unknown_key_is_named_with_the_keys_that_exist(
    tmp_path: Path, old: str, new: str, key: str, allowed: str
) -> None:
    error = refusal(changed(tmp_path, old, new))
    reason = next(reason for reason in error.reasons if reason.startswith(f"{key}: "))
    assert "no such key" in reason
    assert allowed in reason


def test_a_missing_key_and_a_missing_table_are_named(tmp_path: Path) -> None:
    assert "instance.type: missing" in str(refusal(changed(tmp_path, '[instance]\ntype = "c4.2xlarge"', "[instance]")))
    path = tmp_path / "empty.toml"
    path.write_text('description = "nothing in it"\n', encoding="utf-8")
    assert {"aws: missing", "image: missing", "volumes: missing"} <= {
        reason.split(" (")[0] for reason in refusal(path).reasons
    }


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    path = changed(tmp_path, "head_age_seconds = 30", "head_age_seconds = -1\nmax_peers = 0\nspeed = 1")
    assert len(refusal(path).reasons) == 3


def test_a_table_nobody_knows_is_left_to_its_owner_but_a_mistyped_one_shows_as_missing(tmp_path: Path) -> None:
    assert "livepeer: missing" in str(refusal(changed(tmp_path, "[livepeer]", "[livpeer]")))


def test_what_is_not_toml_is_told_with_its_line(tmp_path: Path) -> None:
    error = refusal(changed(tmp_path, "[geth]", "[geth"))
    assert "not valid TOML" in error.message
    assert "line" in error.message


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('availability_zone = "us-east-1a"', 'availability_zone = "eu-west-1a"', "is not in region"),
        ('endpoint_url = "http://127.0.0.1:5620"\n', "", "use a profile"),
        ('endpoint_url = "http:', 'endpoint_url = "ftp:', "is not an http"),
        ('device = "/dev/sdh"', 'device = "/dev/sdg"', "both want /dev/sdg"),
        (', owners = ["self"]', "", "anybody's image"),
        ('name = "lab/stock/*"', 'name = "lab/stock/*", id = "ami-0abc"', "either id, or name"),
        ('source = "/var/cache', 'source = "ftp://example.org', "must be an https URL or a path"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(tmp_path: Path, old: str, new: str, problem: str) -> None:
    assert problem in str(refusal(changed(tmp_path, old, new)))


def test_a_secret_in_a_wrong_file_is_not_shown(tmp_path: Path) -> None:
    path = changed(tmp_path, 'secret_access_key = "lab"', "secret_access_key = 987654321")
    assert "987654321" not in str(refusal(path))
    path = changed(tmp_path, 'endpoint_url = "http://127.0.0.1:5620"\n', "")
    path.write_text(path.read_text().replace('secret_access_key = "lab"', 'secret_access_key = "hunter22"'))
    assert "hunter22" not in str(refusal(path))


def test_printing_settings_shows_no_secret(tmp_path: Path) -> None:
    loaded: Settings = load(str(changed(tmp_path, 'secret_access_key = "lab"', 'secret_access_key = "hunter22"')))
    assert "hunter22" not in repr(loaded)
    assert loaded.aws.secret_access_key.get_secret_value() == "hunter22"


def test_copies_and_their_keys_are_as_the_file_says(tmp_path: Path) -> None:
    own = 'copy_to = ["eu-west-1"]\nencrypted = true\nkms_key_id = "k"\ncopy_kms_key_ids = { "eu-west-1" = "w" }'
    image = load(str(changed(tmp_path, 'os = "ubuntu-18.04"', f'os = "ubuntu-18.04"\n{own}'))).image
    assert (image.copy_to, image.copy_kms_key_ids) == (["eu-west-1"], {"eu-west-1": "w"})


@pytest.mark.parametrize(
    ("own", "said"),
    [
        ('kms_key_id = "k"', "kms_key_id needs encrypted = true"),
        ('copy_kms_key_ids = { "eu-west-1" = "w" }', "copy_kms_key_ids has eu-west-1, which copy_to has not"),
        ('copy_to = ["eu-west-1"]\nencrypted = true\nkms_key_id = "k"', "give copy_kms_key_ids one for eu-west-1"),
        ('copy_to = ["us-east-1"]', "us-east-1 is the region that is baked in"),
        ('copy_to = ["Europe"]', "image.copy_to"),
    ],
)
def test_copies_and_keys_that_do_not_go_together_are_refused(tmp_path: Path, own: str, said: str) -> None:
    path = changed(tmp_path, 'os = "ubuntu-18.04"', f'os = "ubuntu-18.04"\n{own}')
    assert said in str(refusal(path))


def test_an_environment_in_another_region_keeps_all_but_what_is_of_its_own_region() -> None:
    home = load("lab")
    there = home.in_region("eu-west-1")
    assert (there.aws.region, there.aws.kms_key_id, there.name) == ("eu-west-1", "", home.name)
    assert there.aws.endpoint_url == home.aws.endpoint_url


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('emails = ["ops"]', "ops: no mail address"),
        ('checks = ["rewards"]', "no such check: rewards; there are"),
        ('checks = ["cloudwatch"]', "no such check: cloudwatch"),
        ('endpoint_url = "monitoring.example"', "is not an http(s) address"),
        ("minutes = 0", "greater than or equal to 1"),
        ('level = "ok"', "'warn' or 'alarm'"),
        ("cloudwatch = true", "give aws.instance_profile"),
    ],
)
def test_a_wrong_monitoring_table_is_told(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(WHOLE + f"\n[monitoring]\n{line}\n")
    with pytest.raises(BadSettings) as caught:
        load(str(path))
    assert said in str(caught.value)


@pytest.mark.parametrize("prefix", ["transcoder", "transcoder/keys", "transcoder/keys/passphrases"])
def test_passphrases_are_not_where_backups_are_for_the_machine_may_read_the_ones_alone(
    tmp_path: Path, prefix: str
) -> None:
    path = tmp_path / "own.toml"
    path.write_text(WHOLE + f'\n[keys]\npassphrase_prefix = "{prefix}"\n')
    with pytest.raises(BadSettings) as caught:
        load(str(path))
    assert "neither may be below the other" in "\n".join(caught.value.reasons)


def test_a_passphrase_in_the_environment_of_the_process_is_refused_and_not_repeated(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    own = '[livepeer]\nenvironment = { LP_ETHPASSWORD = "hunter22" }'
    path.write_text(WHOLE.replace("[livepeer]", own))
    with pytest.raises(BadSettings) as caught:
        load(str(path))
    told = "\n".join(caught.value.reasons)
    assert "LP_ETHPASSWORD" in told
    assert "keys.passphrase_store" in told
    assert "hunter22" not in told
