"""Livepeer nodes on AWS: the library behind `invoke` and `fab`.

Arrows point down: ``tasks.py``, ``fabfile`` -> ``recipes`` -> ``world`` -> ``aws``, ``remote``.
Importing this package imports none of boto3, fabric and pydantic: `invoke --list` stays fast.
"""
