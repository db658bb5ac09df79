agent run --state-dir /tmp/first /.case/first.yaml
echo "changed by hand" > /srv/app/file
