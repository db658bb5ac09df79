useradd --no-create-home --shell /bin/bash deploy
useradd --no-create-home --shell /bin/bash --home-dir /srv/worker worker
mkdir -p /srv/worker
cp /etc/skel/.profile /srv/worker
echo "# mine" > /srv/worker/.bashrc
useradd --no-create-home --shell /bin/bash guest
rm -rf /usr/games
