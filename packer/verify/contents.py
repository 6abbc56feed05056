"""What is in the image: programs, packages, users, files."""

from __future__ import annotations

import json
from collections.abc import Iterator

from packer.recipe import package_names
from packer.rootfs import render_rootfs
from packer.verify.check import Subject, Wrong, none_of
from transcoder import tags
from transcoder.facts.release import TOOL as RELEASE
from transcoder.layout import GETH, LIVEPEER, WATCH, DataVolume, Service

VERSIONS = {"livepeer": tags.LIVEPEER_VERSION, "geth": tags.GETH_VERSION}
VERSION_COMMANDS = {LIVEPEER: "livepeer -version", GETH: "geth version"}


def release(subject: Subject) -> str:
    """/etc/transcoder/release.json says what the AMI's tags say"""
    try:
        notes = json.loads(subject.output("cat %s", RELEASE))
    except ValueError as error:
        raise Wrong(f"{RELEASE} is not JSON: {error}") from error
    told = {"digest": notes.get("digest", ""), "environment": notes.get("environment", "")}
    told |= {name: notes.get(name, {}).get("version", "") for name in VERSIONS}
    known = {"digest": subject.image.tags.get(tags.DIGEST, ""), "environment": subject.settings.name}
    known |= {name: subject.image.tags.get(key, "") for name, key in VERSIONS.items()}
    wrong = [f"{key} {told[key]!r}, by the tag {known[key]!r}" for key in known if told[key] != known[key]]
    versions = ", ".join(f"{name} {told[name] or 'none'}" for name in VERSIONS)
    return none_of(wrong, f"digest {told['digest'][:12]}, {versions}")


def programs(subject: Subject) -> str:
    """each program tells its version, run as its own user"""
    return ", ".join(_version(subject, volume) for volume in subject.volumes)


def _version(subject: Subject, volume: DataVolume) -> str:
    command = VERSION_COMMANDS[volume]
    wanted = subject.image.tags.get(VERSIONS[volume.role], "").removeprefix("v")
    as_user = f"cd /tmp && runuser -u %s -- env HOME=/tmp /usr/local/bin/{command} 2>&1"
    said = subject.output(as_user, volume.service.user)
    if not wanted or wanted not in said:
        raise Wrong(
            f"`{command}` does not say {wanted or 'a version that a tag names'}: {' '.join(said.split())[:200]}"
        )
    return f"{volume.role} {wanted}"


def packages(subject: Subject) -> str:
    """the packages of the recipe and of the environment are installed"""
    names = [name.partition("=")[0] for name in package_names(subject.settings)]
    found = [subject.machine.package(name) for name in names]
    none_of([f"{package.name} is not installed" for package in found if not package.is_installed], "")
    return f"{len(found)}: " + ", ".join(f"{package.name} {package.version}" for package in found)


def users(subject: Subject) -> str:
    """the services' users have their fixed numbers, no home and no shell; no account has a password"""
    wanted = [*(volume.service for volume in subject.volumes), WATCH]
    wrong = [text for service in wanted for text in _user(subject, service)]
    # ! and * lock a password. An empty field is no password at all.
    unlocked = subject.output("awk -F: '$2 !~ /^[!*]/ { print $1 }' /etc/shadow").split()
    wrong += [f"{name} can log in with a password" for name in unlocked]
    known = ", ".join(f"{service.user} {service.id}:{service.id}" for service in wanted)
    return none_of(wrong, f"{known}, all passwords locked")


def _user(subject: Subject, wanted: Service) -> Iterator[str]:
    user = subject.machine.user(wanted.user)
    if not user.exists:
        yield f"there is no user {wanted.user}"
        return
    found = (user.uid, user.gid, user.home, user.shell)
    if found != (wanted.id, wanted.id, "/nonexistent", "/usr/sbin/nologin"):
        yield f"{wanted.user} is {found}, not {wanted.id}:{wanted.id}, /nonexistent, /usr/sbin/nologin"


def files(subject: Subject) -> str:
    """every file that the bake lays over is there, root's, with its mode; programs are root's"""
    laid = {f"/{path}": file.mode for path, file in render_rootfs(subject.settings).items()}
    own = [volume.role for volume in subject.volumes]
    laid |= {f"/usr/local/bin/{name}": 0o755 for name in (*own, "livepeer_cli")}
    known = _modes(subject, sorted(laid))
    wrong = [
        f"{path} is {known.get(path, 'not there')}, not 0:0 {mode:o} regular file"
        for path, mode in sorted(laid.items())
        if known.get(path) != f"0:0 {mode:o} regular file"
    ]
    return none_of(wrong, f"{len(laid)} files, root's, none that others can write")


def _modes(subject: Subject, paths: list[str]) -> dict[str, str]:
    """Return ``UID:GID MODE KIND`` by path, of those that are there: one command instead of five for each."""
    listed = subject.machine.run("stat --format='%%n|%%u:%%g %%a %%F'" + " %s" * len(paths), *paths).stdout
    found = dict(line.split("|", 1) for line in listed.splitlines())
    return {path: text.replace("regular empty file", "regular file") for path, text in found.items()}


CHECKS = (release, programs, packages, users, files)
