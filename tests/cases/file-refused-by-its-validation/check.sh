# What was live is still live, and nothing half-made lies beside it.
test "$(cat /srv/settings.json)" = '{"a": 0}'
test "$(ls -A /srv)" = settings.json
