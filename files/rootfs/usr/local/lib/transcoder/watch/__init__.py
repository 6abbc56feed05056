"""The node's own watch: looks at everything that must be right, and says so to people, load balancers and Prometheus.

A probe is a generator that looks at one source (`units`, `volumes`, `geth`, ...) and yields readings and gauges. The
loop runs each in a thread of its own, so that one that hangs hangs alone; the board turns readings into states that
do not flap; the server shows them. What to look at and every threshold is in /etc/transcoder/watch.json, which is
rendered from the environment. Python 3.6, standard library only.
"""
