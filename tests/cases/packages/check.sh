test "$(cat /usr/share/tool/version /usr/share/other/version /usr/share/local/version | tr '\n' ' ')" = "tool 1.1 other 3.4 local 0.9 "
test ! -e /usr/share/unwanted
test "$(apt-mark showhold)" = tool
