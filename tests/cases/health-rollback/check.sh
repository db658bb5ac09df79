test "$(curl -sf http://127.0.0.1:8000/)" = well
test "$(readlink /srv/app/current)" = "releases/$(cat /srv/deployed)"
agent status --json > /tmp/status && exit 1
grep -q '"stays_on": "'"$(cat /srv/deployed)" /tmp/status
agent status | grep -q '^drift: `/srv/app` stays on'
