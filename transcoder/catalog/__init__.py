"""What differs between the versions of livepeer and geth: data, and small pure functions over them.

One entry a change, not one a release. Every entry says where it is known from:

``TAG:path``      the source of go-livepeer or go-ethereum at that tag
``#N``            an issue or pull request of the project
``run``           tried with the program itself
``inference``     follows from other facts, not tried

`choice` is what an environment chooses, `refusals` says why it cannot be, `options` and `geth_config` render it,
`support` is the whole as tables (``invoke catalog``).
"""
