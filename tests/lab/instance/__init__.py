"""The instance half of the lab: a machine that boots, runs user-data and can lose its power.

From the ground up, each file using only what stands above it:

    paths       where the lab keeps its files
    report      what the person in front of the terminal sees
    command     running programs, with errors that carry their output
    lock        one lab of a name at a time
    layers      directories that are made once, atomically, and reused
    settings    what this machine knows about its network, handed to the guests
    root        the guest's operating system, prepared once
    network     a little VPC: a bridge, a way out, the metadata address
    processes   the guests' processes, seen from the host
    control_groups  instances kept apart where the host has no systemd
    machine     one instance: boot, exec, reboot, power cut
    supervisor  the hypervisor of one instance, a process of its own
    bitbucket   a real sshd and a real repository
    aws         the simulator's process
    lab         all of it together
    bootstrap   S1 in AWS: what a team has there before its instance starts
    binary      the agent, built for the guest
    agent       the agent in an instance: playbooks in, events out
    watch       an instance on its way to its verdict, live
    cli         try, enter, down
"""
