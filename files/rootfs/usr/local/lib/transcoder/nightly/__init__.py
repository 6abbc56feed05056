"""The node restarts itself at night, by a timer of systemd: what `fab restart all` does, with no operator's machine.

`turn` has the order, `looks` what it goes by. Budgets and thresholds are in /etc/transcoder/watch.json, which is
rendered from the environment; the looks are those of the watch. Python 3.6, standard library only.
"""
