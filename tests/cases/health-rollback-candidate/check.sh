test "$(cat /srv/traffic) $(curl -sf http://127.0.0.1:8002/)" = "8002 better"
test "$(systemctl is-active app@8001.service app@8002.service | tr '\n' ' ')" = "inactive active "
test "$(readlink /srv/app/slots/8002)" = "../$(readlink /srv/app/current)"
# Beside the two newest, the one that was live before still has its slot.
test "$(ls /srv/app/releases | wc -l)" = 3
agent status > /tmp/status
if grep drift /tmp/status; then exit 1; fi
