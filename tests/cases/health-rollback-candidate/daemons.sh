agent run --set revision=v1 /.case/playbook.yaml
# A candidate that dies gets no traffic and is stopped.
agent run --set revision=broken /.case/playbook.yaml && exit 1
test "$(cat /srv/traffic) $(curl -sf http://127.0.0.1:8001/)" = "8001 well"
test "$(systemctl is-active app@8001.service app@8002.service | tr '\n' ' ')" = "active failed "
