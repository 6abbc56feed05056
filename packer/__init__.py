"""The image recipe: Python values -> HCL -> ``packer validate`` and ``packer build``.

``recipe`` is the table of contents of the image, ``bake`` is what the tasks call, ``provision/`` what runs in the
machine.
"""
