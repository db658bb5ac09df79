agent run --state-dir /tmp/first /.case/first.yaml
echo mine > /srv/app/untracked          # stays
touch /srv/app/.git/index.lock          # left by a git that was killed long ago
touch -d '2 hours ago' /srv/app/.git/index.lock
