test "$(systemctl is-active other)" = active
test "$(systemctl is-enabled other)" = enabled
test "$(systemctl is-active unwanted)" = inactive
test "$(systemctl is-active forbidden)" = inactive
test "$(systemctl is-enabled forbidden)" = masked
