mkdir -m 0777 /srv/loose
echo kept > /srv/loose/file
chmod 0666 /srv/loose/file
mkdir -p /srv/old/inside
echo gone > /srv/old/inside/file
