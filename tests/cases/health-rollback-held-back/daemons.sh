agent run --set revision=v1 --set greeting=first /.case/playbook.yaml
agent run /.case/playbook.yaml && exit 1
systemctl show --property=InvocationID app.service > /tmp/before
