test "$(curl -sf http://127.0.0.1:8000/)" = well
systemctl show --property=InvocationID app.service | cmp - /tmp/before
# Whoever asks for it gets another try, which ends as the first.
agent run --retry-revision /.case/playbook.yaml > /tmp/said 2>&1 && exit 1
grep -q 'went back' /tmp/said
test "$(curl -sf http://127.0.0.1:8000/)" = well
