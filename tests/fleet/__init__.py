"""A fleet on one machine: real agents, as many as wanted, against AWS as a whole account shares it.

The map, in layer order (a file uses only what stands above it):

quotas.py     how many requests a second each API takes, and where that number is from
account.py    what all instances share: parameters, log groups, the group and its hook; every call, counted
answers.py    an answer or an error in the dialect of the service that is asked
services.py   SSM, Auto Scaling and CloudWatch Logs, as far as a boot needs them
metadata.py   the metadata service, an identity for each instance
server.py     HTTP, one thread for all of them
agents.py     the processes: started, awaited, measured
figures.py    what a boot cost
__main__.py   the command
"""
