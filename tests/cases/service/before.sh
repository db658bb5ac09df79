for name in other unwanted forbidden; do
  printf '[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n' > /usr/lib/systemd/system/$name.service
done
mkdir -p /etc/systemd/system/multi-user.target.wants
ln -s /usr/lib/systemd/system/unwanted.service /etc/systemd/system/multi-user.target.wants/unwanted.service
ln -s /usr/lib/systemd/system/forbidden.service /etc/systemd/system/multi-user.target.wants/forbidden.service
echo a > /etc/other.conf
