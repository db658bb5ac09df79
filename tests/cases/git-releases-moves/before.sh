agent run --state-dir /tmp/first /.case/first.yaml
touch /srv/app/current/written-by-the-application
