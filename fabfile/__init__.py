"""What is done to a node that exists. `fab --list` is the table of contents, `fab --help TASK` has examples."""

import sys
from pathlib import Path

from invoke.collection import Collection

# Fabric puts the directory of this package on the path, not the project's, in which the library stands.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from fabfile import keys, node, services, volumes

namespace = Collection()
for _module in (volumes, keys, services, node):
    for _entry in _module.TASKS:
        namespace.add_task(_entry)
