# ssh itself accepts key and permissions, and the two halves belong together.
setpriv --reuid=1500 --regid=1500 --clear-groups ssh-keygen -y -f /home/deploy/.ssh/id_ed25519 > /tmp/half
cut -d' ' -f1,2 /home/deploy/.ssh/id_ed25519.pub | diff - /tmp/half
