mkdir /srv/www
echo "all is well" > /srv/www/healthcheck
cd /srv/www
python3 -m http.server --bind 127.0.0.1 8000 > /dev/null 2>&1 &
python3 -c 'import socket, time; s = socket.socket(socket.AF_UNIX); s.bind("/srv/socket"); s.listen(); time.sleep(600)' &
for _ in $(seq 100); do
  if [ -S /srv/socket ] && curl -sf http://127.0.0.1:8000/healthcheck > /dev/null; then exit 0; fi
  sleep 0.1
done
exit 1
