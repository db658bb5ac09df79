ssh-keygen -F bitbucket.org -f /etc/ssh/ssh_known_hosts | grep -q ssh-ed25519
# The key somebody had put there is gone, other servers' keys are not.
if ssh-keygen -F bitbucket.org -f /etc/ssh/ssh_known_hosts | grep -q AAAAC3NzaC1lZDI1NTE5AAAAIC9Oh8cv2jlkkYQOyZUmWUyXs8dmSuvIDH7bMs4yPU4Y
then exit 1; fi
ssh-keygen -F other.example.com -f /etc/ssh/ssh_known_hosts > /dev/null
ssh-keygen -F '[git.example.com]:2222' -f /srv/known_hosts > /dev/null
