"""IAM in the lab: the account's users and role with the policies of ``templates/iam``, and the check of every call.

`guard` stands before moto's answers; `identities` knows who calls, `needs` what a call has need of, `policies` decides.
moto (5.2) has a check of its own, which compares actions alone: it takes every resource for ``*``, so that a statement
about an ARN never matches, and every statement with a condition for a denial.
"""
