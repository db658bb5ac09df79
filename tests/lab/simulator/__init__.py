"""AWS on loopback: moto, plus what moto lacks for an instance that boots.

The map, in layer order (a file uses only what stands above it):

clock.py         the lab's time, which tests can move
journal.py       every request, one JSON line each
calls.py         which service, action and instance a request is about
wire.py          answers in the dialect of the service that is asked
faults.py        rules that make requests fail
credentials.py   the role credentials an instance gets, and whose they are
lifecycle.py     phases, hooks and deadlines of one instance; knows no moto
groups.py        capacity of a group: launch, replace, terminate
warm_pools.py    instances that are prepared and wait
log_limits.py    what the real PutLogEvents refuses
machines.py      what the lab told us about its instances
patching.py      how a method of moto is replaced
moto_groups.py, moto_hooks.py, moto_logs.py, moto_parameters.py, moto_cloudformation.py
                 the replaced parts, one service's idea each
moto_patches.py  all of them, tied to one version of moto
world.py         one of each of the above
listener.py      HTTP, including every way to break off a connection
control.py       the lab's own API, under /_lab/
app.py           the AWS listener
metadata.py      the tree of facts about an instance
imds.py          the metadata service that shows it (version 2 only)
client.py        for the lab and its tests: start it, drive it, ask it
s1.py            the account that system S1 expects to find
"""

MOTO_VERSION = "5.2.5"
