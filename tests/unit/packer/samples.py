"""Environments and release archives for the tests of the image recipe."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from pathlib import Path

from transcoder.settings import Settings, load

GETH_TAR, LIVEPEER_TAR = "geth-linux-amd64-1.8.27-4bcc0a37.tar.gz", "livepeer_linux.tar.gz"

ENVIRONMENT = """
description = "for tests"

[aws]
region = "us-east-1"
availability_zone = "us-east-1a"
{aws}
key_name = "key"
ingress = [
    {{ port = 22, sources = ["192.0.2.0/24", "198.51.100.7/32"] }},
    {{ port = 15000, sources = ["0.0.0.0/0"] }},
]

[ssh]
address = "{address}"

[image]
os = "ubuntu-18.04"
source_ami = {source_ami}

[geth]
version = "1.8.27"
source = "geth-linux-amd64-1.8.27-4bcc0a37.tar.gz"
checksums = "sums"
{geth}

[livepeer]
version = "0.2.4"
source = "livepeer_linux.tar.gz"
checksums = "sums"
{livepeer}

[instance]
type = "c4.2xlarge"

[volumes]
livepeer = {{ size_gib = 1, device = "/dev/sdg" }}
geth = {{ size_gib = 1, device = "/dev/sdh" }}
"""
OTHER_EC2 = 'endpoint_url = "http://127.0.0.1:5000"\naccess_key_id = "id"\nsecret_access_key = "very-secret"'
AMAZON_AMI = '{ name = "ubuntu/bionic-*", owners = ["099720109477"], include_deprecated = true }'


def settings_in(
    directory: Path,
    *,
    aws: str = OTHER_EC2,
    address: str = "private",
    source_ami: str = '{ name = "stock/*", owners = ["self"] }',
    geth: str = "",
    livepeer: str = "",
) -> Settings:
    """Write an environment file called ``world.toml`` and load it."""
    path = directory / "world.toml"
    path.write_text(ENVIRONMENT.format(aws=aws, address=address, source_ami=source_ami, geth=geth, livepeer=livepeer))
    return load(str(path))


def arbitrum_settings(
    directory: Path, *, livepeer: str = "", eth_url: str = "https://rpc.example/arb", gpus: str = ""
) -> Settings:
    """An environment without geth, with a livepeer of today."""
    archive = "livepeer-linux-gpu-amd64.tar.gz" if gpus else "livepeer_linux.tar.gz"
    changes = {
        'os = "ubuntu-18.04"': 'os = "ubuntu-24.04"',
        'version = "1.8.27"\nsource = "geth-linux-amd64-1.8.27-4bcc0a37.tar.gz"\nchecksums = "sums"': "enabled = false",
        'version = "0.2.4"\nsource = "livepeer_linux.tar.gz"': f'version = "v0.9.1"\nsource = "{archive}"',
        'type = "c4.2xlarge"': 'type = "g5.xlarge"\nroot_type = "gp3"',
        'geth = {{ size_gib = 1, device = "/dev/sdh" }}': "",
    }
    text = ENVIRONMENT + f'[gpu]\ndevices = "{gpus}"\n'
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    own = f'network = "arbitrum-one-mainnet"\neth_url = "{eth_url}"\nprice_per_unit = 1200\n{livepeer}'
    source_ami = '{ name = "stock/*", owners = ["self"] }'
    path = directory / "world.toml"
    path.write_text(text.format(aws=OTHER_EC2, address="private", source_ami=source_ami, geth="", livepeer=own))
    return load(str(path))


def fetching_settings(directory: Path) -> Settings:
    """The same, where the machine fetches the passphrase of its key."""
    settings = arbitrum_settings(directory)
    keys = settings.keys.model_copy(update={"passphrase_store": "ssm"})
    aws = settings.aws.model_copy(update={"instance_profile": "node"})
    return settings.model_copy(update={"keys": keys, "aws": aws})


def amazon_settings(directory: Path) -> Settings:
    """An environment on Amazon's own EC2 that wants a deprecated image."""
    return settings_in(
        directory, aws='profile = "ops"\nsubnet_id = "subnet-1"', address="public", source_ami=AMAZON_AMI
    )


def tar_with(members: dict[str, bytes], *extra: tarfile.TarInfo) -> bytes:
    """Return a tar.gz with these files, and with members that have no content: the same bytes at any time."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o755
            tar.addfile(member, io.BytesIO(content))
        for member in extra:
            tar.addfile(member)
    return gzip.compress(buffer.getvalue(), mtime=0)


def write_archives(directory: Path) -> None:
    """Write tiny release archives and their checksums beside the environment file."""
    archives = {
        GETH_TAR: tar_with({"geth-linux-amd64-1.8.27-4bcc0a37/geth": b"the geth", "geth-x/COPYING": b"text"}),
        LIVEPEER_TAR: tar_with({"livepeer_linux/livepeer": b"the livepeer", "livepeer_linux/livepeer_cli": b"cli"}),
    }
    for name, content in archives.items():
        (directory / name).write_bytes(content)
    sums = [f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in archives.items()]
    (directory / "sums").write_text("".join(sums))
