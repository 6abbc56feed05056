"""The rehearsal of the main job: bake, launch, write, migrate, prove, report, by the very command lines of an operator.

``story`` is the list of acts, ``acts`` what each does, ``stage`` runs them; the rest looks (``watch``, ``look``,
``records``, ``cloud_state``), computes (``bound``) and reports (``report``, ``terminal``, ``html``).
"""
