agent run --state-dir /tmp/first /.case/first.yaml
