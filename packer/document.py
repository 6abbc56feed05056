"""Settings and steps -> the HCL document for one version of Packer."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence

from packer.hcl import Block, Expression, Value, write
from packer.recipe import CarryOut, Script, Step, Upload
from packer.versions import Packer
from transcoder import tags
from transcoder.settings import Settings

LABELS = ("amazon-ebs", "node")
SOURCE = "source.amazon-ebs.node"
PLUGIN = {"source": "github.com/hashicorp/amazon", "version": ">= 1.8.1"}
"""Before 1.8.1 an AMI that EC2 does not show yet failed the build (packer-plugin-amazon #662)."""
ROOT_DEVICES = {"debian-12": "/dev/xvda"}
"""The root device of the vendors' images; /dev/sda1 for all others."""
GP3_BASELINE = {"iops": 3000, "throughput": 125}
"""What every gp3 volume has at no charge; Packer 1.6 refuses a gp3 volume that does not say so."""
POLL_SECONDS = 5
EXECUTE = "sudo env {{ .Vars }} sh {{ .Path }}"


def image_tags(settings: Settings, digest: str, name: str, packer: Packer, commit: str) -> dict[str, str]:
    """Return the tags of the AMI. What is in ``{{ }}`` is filled in by Packer."""
    return {
        tags.NAME: name,
        tags.ENVIRONMENT: settings.name,
        tags.DIGEST: digest,
        f"{tags.PREFIX}os": settings.image.os,
        **({f"{tags.PREFIX}geth": settings.geth.version} if settings.geth.enabled else {}),
        f"{tags.PREFIX}livepeer": settings.livepeer.version,
        f"{tags.PREFIX}packer": str(packer),
        f"{tags.PREFIX}source-ami": "{{ .SourceAMI }}",
        f"{tags.PREFIX}source-ami-name": "{{ .SourceAMIName }}",
        f"{tags.PREFIX}commit": commit,
        f"{tags.PREFIX}baked": "{{ isotime }}",
    }


def write_document(
    settings: Settings,
    steps: Sequence[Step],
    packer: Packer,
    *,
    ami_name: str,
    digest: str,
    commit: str,
    source_ami_id: str = "",
    root_device: str = "",
) -> str:
    """Return the HCL of the image's build. Files are named beside the template; no secret is in it."""
    source = _source(settings, ami_name, image_tags(settings, digest, ami_name, packer, commit))
    _add_start(source, settings, packer, source_ami_id)
    _add_root(source, settings, root_device or ROOT_DEVICES.get(settings.image.os, "/dev/sda1"))
    _add_connection(source, settings, packer)
    if packer.has_metadata_options:
        _add_metadata(source, settings)
    source.block("aws_polling", delay_seconds=_poll_seconds(settings), max_attempts=_attempts(settings))
    return write([*_requirements(packer), source, _build(steps)])


def ssh_sources(settings: Settings) -> list[str]:
    """Return the networks that the node's own rules let in to SSH: the build machine lets in the same and no others."""
    ranges = [(rule, max(rule.port, rule.to_port)) for rule in settings.aws.ingress if rule.protocol == "tcp"]
    return sorted(
        {str(ipaddress.ip_network(s)) for r, end in ranges if r.port <= settings.ssh.port <= end for s in r.sources}
    )


def _requirements(packer: Packer) -> list[Block]:
    block = Block("packer", attributes={"required_version": ">= 1.11.0" if packer.needs_plugins else ">= 1.6.0"})
    if packer.needs_plugins:
        block.block("required_plugins", amazon=PLUGIN)
    return [block]


def _source(settings: Settings, ami_name: str, baked: Mapping[str, str]) -> Block:
    aws = settings.aws
    attributes: dict[str, Value] = {"region": aws.region, "availability_zone": aws.availability_zone}
    if aws.endpoint_url:
        # Packer asks STS, the metadata service and a list of regions first, which are Amazon's own.
        attributes |= {"custom_endpoint_ec2": aws.endpoint_url, "skip_credential_validation": True}
        attributes |= {"skip_metadata_api_check": True, "skip_region_validation": True}
    temporary = {tags.NAME: f"{ami_name} (being baked)", tags.ENVIRONMENT: settings.name}
    attributes |= {"ami_name": ami_name, "ami_description": f"livepeer node, environment {settings.name}"}
    attributes |= {"tags": baked, "snapshot_tags": baked, "run_tags": temporary, "run_volume_tags": temporary}
    attributes |= {"instance_type": settings.image.build_instance_type}
    if aws.subnet_id:
        attributes |= {"subnet_id": aws.subnet_id}
        attributes |= {"associate_public_ip_address": True} if settings.ssh.address == "public" else {}
    return Block("source", LABELS, attributes)


def _add_start(source: Block, settings: Settings, packer: Packer, source_ami_id: str) -> None:
    """Say from which image to start: a given one, the settings' id, or the newest that the settings' filter finds."""
    wanted = settings.image.source_ami
    if source_ami_id or wanted.id:
        source.attributes["source_ami"] = source_ami_id or wanted.id
        return
    filters = {"name": wanted.name, "root-device-type": "ebs", "virtualization-type": "hvm"}
    block = source.block("source_ami_filter", filters=filters, owners=wanted.owners, most_recent=True)
    if wanted.include_deprecated and packer.finds_deprecated:
        block.attributes["include_deprecated"] = True


def _add_root(source: Block, settings: Settings, device: str) -> None:
    root = source.block(
        "launch_block_device_mappings",
        device_name=device,
        volume_size=settings.image.root_size_gib,
        volume_type=settings.instance.root_type,
        delete_on_termination=True,
    )
    if settings.instance.root_type == "gp3":
        root.attributes |= GP3_BASELINE
    if settings.image.encrypted:
        # From the first byte on. encrypt_boot would make an AMI in the clear, copy it, and delete the first.
        root.attributes |= {"encrypted": True}
        root.attributes |= {"kms_key_id": settings.image.kms_key_id} if settings.image.kms_key_id else {}


def _add_connection(source: Block, settings: Settings, packer: Packer) -> None:
    ssh = settings.ssh
    source.attributes |= {"communicator": "ssh", "ssh_username": ssh.user, "ssh_port": ssh.port}
    source.attributes |= {"ssh_interface": f"{ssh.address}_ip", "ssh_timeout": "10m"}
    source.attributes |= {"temporary_security_group_source_cidrs": ssh_sources(settings)}
    if packer.has_key_type:
        source.attributes["temporary_key_pair_type"] = "ed25519"


def _add_metadata(source: Block, settings: Settings) -> None:
    tokens = settings.aws.imds_tokens
    source.block("metadata_options", http_endpoint="enabled", http_tokens=tokens, http_put_response_hop_limit=1)
    if tokens == "required":
        source.attributes["imds_support"] = "v2.0"


def _poll_seconds(settings: Settings) -> int:
    """Return how often Packer asks: an EC2 that is not Amazon's has no request quota to save."""
    return 1 if settings.aws.endpoint_url else POLL_SECONDS


def _attempts(settings: Settings) -> int:
    return settings.image.bake_timeout_minutes * 60 // _poll_seconds(settings)


def _build(steps: Sequence[Step]) -> Block:
    build = Block("build", attributes={"sources": [SOURCE]})
    for step in steps:
        match step:
            case Upload(name, destination):
                build.block("provisioner", "file", source=_beside(name), destination=destination)
            case CarryOut(name, source):
                build.block("provisioner", "file", direction="download", source=source, destination=_beside(name))
            case Script(name, _, environment):
                variables = [f"{key}={text}" for key, text in environment.items()]
                attributes: dict[str, Value] = {"script": _beside(f"provision/{name}"), "execute_command": EXECUTE}
                attributes |= {"environment_vars": variables} if variables else {}
                build.block("provisioner", "shell", **attributes)
    return build


def _beside(name: str) -> Expression:
    """Return the path of a file beside the template. The names are this package's own: nothing to escape."""
    return Expression(f'"${{path.root}}/{name}"')
