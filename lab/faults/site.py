"""The lab as a fault sees it: EC2, the machines, and what was named on the command line found in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lab.cloud import Cloud
from lab.faults.seams import Seams
from lab.reconcile import Reconciler
from transcoder import tags
from transcoder.errors import Refused


@dataclass(frozen=True)
class Operator:
    """Who switches faults: the journal of their operations, and the user that they log in to machines as."""

    journal: str = ""
    ssh_user: str = "ubuntu"


@dataclass(frozen=True)
class Site:
    """What a fault may touch."""

    cloud: Cloud
    reconciler: Reconciler
    operator: Operator

    @property
    def seams(self) -> Seams:
        """Where faults reach into EC2."""
        return self.cloud.seams

    def instance(self, wanted: str = "") -> Any:
        """Return moto's instance by its id or Name, or the only one that runs.

        :raises Refused: there is none, or several.
        """
        with self.cloud.lock:
            living = [each for each in self.cloud.instances() if each.state != "terminated"]
            names = {each.id: name_of(each) for each in living}
            found = [each for each in living if wanted in (each.id, names[each.id]) or not wanted]
            if not wanted and len(found) > 1:
                found = [each for each in found if each.state == "running"]
        return _only(found, f"instance {wanted!r}" if wanted else "instance", names)

    def volume(self, wanted: str) -> Any:
        """Return moto's volume by its id, or by the role of its tag; one that a copy has replaced does not count.

        :raises Refused: there is none, or several.
        """
        with self.cloud.lock:
            volumes = [volume for backend in self.cloud.backends for volume in backend.volumes.values()]
            named = {each.id: tags_of(each) for each in volumes}
        found = [each for each in volumes if each.id == wanted]
        found = found or [each for each in volumes if _has_role(named[each.id], wanted)]
        shown = {each: " ".join(filter(None, (of.get(tags.NODE), of.get(tags.ROLE)))) for each, of in named.items()}
        return _only(found, f"volume {wanted!r}", shown)

    def running(self, wanted: str = "") -> Any:
        """Return an instance whose machine runs.

        :raises Refused: there is no such instance, or its machine is off.
        """
        instance = self.instance(wanted)
        if not self.cloud.driver.running(instance.id):
            raise Refused(f"the machine of {instance.id} is off ({instance.state})", hint="invoke lab.status")
        return instance

    def holder(self, volume: Any) -> Any:
        """Return the instance that has a volume.

        :raises Refused: nobody has it.
        """
        attachment = volume.attachment
        if attachment is None:
            raise Refused(f"{volume.id} is attached to no instance", hint="invoke lab.status")
        return attachment.instance


def tags_of(resource: Any) -> Mapping[str, str]:
    """Return the tags of a moto object."""
    return {str(tag["key"]): str(tag["value"]) for tag in resource.get_tags()}


def name_of(resource: Any) -> str:
    """Return the Name of a moto object, or an empty text."""
    return tags_of(resource).get(tags.NAME, "")


def _has_role(tagged: Mapping[str, str], wanted: str) -> bool:
    return tagged.get(tags.ROLE) == wanted and tags.REPLACED_BY not in tagged


def _only(found: list[Any], what: str, names: Mapping[str, str]) -> Any:
    if len(found) == 1:
        return found[0]
    among = [each.id for each in found] or list(names)
    hint = "name one of: " + (", ".join(f"{each} {names.get(each, '')}".strip() for each in among) or "there are none")
    raise Refused(f"{len(found) or 'no'} {what} in the lab", hint=hint)
