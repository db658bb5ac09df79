test "$(/opt/runtime/bin/tool)" = "it runs"
test "$(cat /opt/runtime/bin/module)" = one
test "$(find /home/app/site -printf '%u\n' | sort -u)" = app
