printf 'Port 22\n#PermitRootLogin prohibit-password\nPermitRootLogin yes\nUsePAM yes\n' > /srv/sshd_config
printf '127.0.0.1 localhost\n10.0.0.5 db' > /srv/hosts        # no line break at its end
printf '/dev/a / ext4 rw 0 1\n/dev/b none swap sw 0 0\n' > /srv/fstab
chown daemon:daemon /srv/hosts
chmod 0640 /srv/hosts
