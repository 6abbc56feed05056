"""An AMI, booted once and looked at from outside, before anything is launched from it.

`suite` is the list of checks, `stand` the machine that they are run on, `command` is `invoke verify-ami`. Each check is
a function that looks, returns what it has found, and raises `Wrong` when that is not what it should be.
"""
