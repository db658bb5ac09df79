agent run --set revision=v1 /.case/playbook.yaml
systemctl show --property=InvocationID app.service > /tmp/before
