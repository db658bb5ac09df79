printf 'one\ntwo\nthree\n' > /srv/changed
chmod 0604 /srv/changed
echo same > /srv/open
echo old > /srv/gone
