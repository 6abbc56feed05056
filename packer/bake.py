"""Bakes an image: `prepare` writes everything that a bake consumes, `validate` and `build` run Packer on it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from packer.digest import image_digest
from packer.document import ssh_sources, write_document
from packer.downloads import CACHE, Archive, fetch, read_programs, sha256_of
from packer.programs import check_programs
from packer.recipe import BINARIES, ROOTFS, SCRIPTS, describe_steps, image_steps
from packer.rootfs import render_rootfs
from packer.run import run_build, run_quietly
from packer.tarball import File, write_tar
from packer.versions import Packer, observe_packer
from transcoder.errors import Failed, Refused, TranscoderError
from transcoder.settings import Download, Settings, child_environment

TEMPLATE = "image.pkr.hcl"
RELEASE = "etc/transcoder/release.json"
PROGRAMS = {"geth": ("geth",), "livepeer": ("livepeer", "livepeer_cli")}
AMI_NAME_LENGTH = 128


@dataclass(frozen=True)
class Prepared:
    """All that a bake consumes. ``hcl`` is the text of ``template``; ``steps`` are for people.

    ``directory`` holds the template, the scripts, the archives for upload, and in ``rootfs/`` the same files to look
    at. ``obstacles`` say why this could be validated but not built.
    """

    hcl: str
    digest: str
    directory: Path
    template: Path
    ami_name: str
    steps: tuple[str, ...]
    packer: Packer
    obstacles: tuple[str, ...] = ()


def prepare(
    settings: Settings,
    directory: Path,
    *,
    source_ami_id: str = "",
    root_device: str = "",
    packer: Packer | None = None,
    cache: Path = CACHE,
    ami_name_suffix: str = "",
    preview: bool = False,
) -> Prepared:
    """Fetch, prove, render and write everything that the bake consumes into ``directory``.

    :param source_ami_id: the stock image that the settings' filter found; without it Packer looks for itself, and the
        digest names the filter only.
    :param root_device: the stock image's RootDeviceName; by default that of the vendor's image.
    :param packer: the version to write for; by default the installed one.
    :param cache: where fetched archives are kept.
    :param ami_name_suffix: makes the name of the AMI differ from that of an image of the same inputs.
    :param preview: an archive that cannot be had is an obstacle, and the document is written all the same.
    :raises Refused: for settings that cannot be baked, or an archive that is not what it should be.
    :raises Unreachable: when a download does not answer.
    """
    check_programs(settings)
    packer = packer or observe_packer()
    archives, missing = _archives(settings, cache, preview=preview)
    rootfs = render_rootfs(settings)
    digest = image_digest(settings, rootfs, tuple(archives.values()), source_ami_id)
    release = release_notes(settings, digest, archives, source_ami_id)
    rootfs[RELEASE] = File(release.encode())
    programs = {name: text for key, at in archives.items() for name, text in read_programs(at, PROGRAMS[key]).items()}
    sums = _write_files(directory, rootfs, programs)
    steps = image_steps(settings, *sums)
    name = ami_name(settings, digest, ami_name_suffix)
    hcl = write_document(
        settings, steps, packer, ami_name=name, digest=digest, source_ami_id=source_ami_id, root_device=root_device
    )
    template = directory / TEMPLATE
    template.write_text(hcl, encoding="utf-8")
    obstacles = (*missing, *_obstacles(settings, packer, source_ami_id))
    return Prepared(hcl, digest, directory, template, name, describe_steps(steps), packer, obstacles)


def validate(prepared: Prepared) -> None:
    """Let Packer check the document; needs neither network nor credentials with Packer 1.6.

    :raises Failed: with what Packer says.
    """
    _init(prepared)
    run_quietly(["packer", "validate", str(prepared.template)], child_environment(**_QUIET))


def build(prepared: Prepared, settings: Settings, on_line: Callable[[str], None]) -> str:
    """Run ``packer build`` and return the id of the AMI.

    A Ctrl-C is passed on to Packer, which then removes what it made; this waits for it.

    :param on_line: gets every line that Packer has for people, as it comes.
    :raises Refused: when `prepare` found an obstacle.
    :raises Failed: with Packer's last words.
    """
    if prepared.obstacles:
        raise Refused("this image cannot be baked like this", reasons=prepared.obstacles)
    _init(prepared)
    environment = child_environment(**_QUIET, **credentials(settings))
    artifact = run_build(prepared.template, environment, settings.image.bake_timeout_minutes * 60.0, on_line)
    region, _, ami = artifact.partition(":")
    if region != settings.aws.region or not ami.startswith("ami-"):
        raise Failed(f"packer finished with the artifact {artifact!r}, not with an AMI in {settings.aws.region}")
    return ami


def credentials(settings: Settings) -> dict[str, str]:
    """Return the environment variables that let Packer act on the environment's EC2; secrets never go into the HCL."""
    aws = settings.aws
    found = {"AWS_PROFILE": aws.profile} if aws.profile else {}
    if aws.access_key_id:
        found |= {"AWS_ACCESS_KEY_ID": aws.access_key_id, "AWS_SESSION_TOKEN": "", "AWS_PROFILE": ""}
        found |= {"AWS_SECRET_ACCESS_KEY": aws.secret_access_key.get_secret_value()}
    return {**found, "AWS_DEFAULT_REGION": aws.region, "AWS_REGION": aws.region}


def ami_name(settings: Settings, digest: str, suffix: str = "") -> str:
    """Return the AMI's name: it carries the digest, so that two bakes of the same inputs cannot both stand."""
    tail = f"-{settings.image.os}-{digest[:12]}{f'-{suffix}' if suffix else ''}"
    return settings.image.name_prefix[: AMI_NAME_LENGTH - len(tail)] + tail


def release_notes(settings: Settings, digest: str, archives: Mapping[str, Archive], source_ami_id: str) -> str:
    """Return /etc/transcoder/release.json: what the image is, for whoever is logged in to it."""
    programs = {
        name: {"version": archive.version, "source": archive.source, "sha256": archive.sha256}
        for name, archive in archives.items()
    }
    wanted = settings.image.source_ami
    source = {"id": source_ami_id or wanted.id, "name": wanted.name, "owners": wanted.owners}
    notes = {
        "digest": digest,
        "environment": settings.name,
        "os": settings.image.os,
        "source_ami": source,
        "network": settings.livepeer.network,
        **programs,
    }
    return json.dumps(notes, indent=2, sort_keys=True) + "\n"


_QUIET = {"CHECKPOINT_DISABLE": "1", "PACKER_NO_COLOR": "1"}
"""No question to checkpoint.hashicorp.com whether there is a newer Packer."""


def _archives(settings: Settings, cache: Path, *, preview: bool) -> tuple[dict[str, Archive], tuple[str, ...]]:
    """Return the archives of the image's programs by name, and, in a preview, why others are missing."""
    wanted: dict[str, Download] = {"geth": settings.geth, "livepeer": settings.livepeer}
    found, missing = {}, []
    for name in PROGRAMS if settings.geth.enabled else ("livepeer",):
        try:
            found[name] = fetch(wanted[name], settings.path.parent, cache)
        except TranscoderError as error:
            if not preview:
                raise
            missing.append(f"{error.message} (so the digest and the sums shown are not the final ones)")
    return found, tuple(missing)


def _write_files(directory: Path, rootfs: Mapping[str, File], programs: Mapping[str, bytes]) -> tuple[str, str]:
    """Write scripts, archives and the readable copy of the rootfs; return the sha256 of the two archives."""
    shutil.rmtree(directory / "rootfs", ignore_errors=True)
    shutil.rmtree(directory / "provision", ignore_errors=True)
    shutil.copytree(SCRIPTS, directory / "provision", dirs_exist_ok=True)
    for path, file in rootfs.items():
        target = directory / "rootfs" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.content)
        target.chmod(file.mode)
    write_tar(directory / ROOTFS, rootfs)
    write_tar(directory / BINARIES, {name: File(content, 0o755) for name, content in programs.items()})
    return sha256_of(directory / ROOTFS), sha256_of(directory / BINARIES)


def _obstacles(settings: Settings, packer: Packer, source_ami_id: str) -> tuple[str, ...]:
    found = []
    wanted = settings.image.source_ami
    if wanted.include_deprecated and not (source_ami_id or wanted.id or packer.finds_deprecated):
        found.append(f"Packer {packer} cannot look for deprecated images: name one, or use Packer 1.11 or later")
    if not ssh_sources(settings):
        found.append(f"no rule in aws.ingress lets anybody in to port {settings.ssh.port}, Packer neither")
    return tuple(found)


def _init(prepared: Prepared) -> None:
    if prepared.packer.needs_plugins:
        run_quietly(["packer", "init", str(prepared.template)], child_environment(**_QUIET))
