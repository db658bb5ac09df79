usermod --home /srv/games games
mkdir -p /srv/games/.ssh
echo "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIC9Oh8cv2jlkkYQOyZUmWUyXs8dmSuvIDH7bMs4yPU4Y somebody-who-left" > /srv/games/.ssh/authorized_keys
chown -R games:games /srv/games
chmod 0755 /srv/games/.ssh
rm /etc/skel/.[a-z]*
