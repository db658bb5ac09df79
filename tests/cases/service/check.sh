test "$(systemctl is-active other)" = active
test "$(systemctl is-enabled other)" = enabled
! systemctl is-active --quiet unwanted
! systemctl is-active --quiet forbidden
test "$(systemctl is-enabled forbidden)" = masked
