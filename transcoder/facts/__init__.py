"""Pure parsers of what a machine's tools print: one module per tool, text in, frozen dataclasses out.

Beside each parser stands the command whose output it reads. No parser guesses: what it does not know makes it raise
`transcoder.errors.Failed` with the tool's name and the line. Where an exit code carries meaning (``findmnt`` 1,
``blkid`` 2 and 8) it is a parameter.

The commands and formats hold for Ubuntu 18.04 (util-linux 2.31, systemd 237, chrony 3.2) and for newer releases
(util-linux 2.38, systemd 252, chrony 4.3); ``tests/unit/facts/<tool>/`` has the recordings of both.
"""
