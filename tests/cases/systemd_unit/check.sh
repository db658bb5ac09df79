test "$(systemctl is-active web.service sweep.timer | sort -u)" = active
test "$(systemctl is-enabled web.service sweep.timer | sort -u)" = enabled
test "$(systemctl is-enabled sweep.service)" = static
systemctl show --property=LimitNOFILE systemd-journald.service
